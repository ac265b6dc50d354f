# Stand-in for the plugin's lines that matter.
class SecurityLib
  def self.get_ident(ident)
    return 'CEF' if ident.include?('CEF')
    return ident if ident.include?('%ASA')
    return nil
  end
end
