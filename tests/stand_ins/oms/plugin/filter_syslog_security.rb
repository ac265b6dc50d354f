# Stand-in for the plugin's lines that matter.
class SyslogSecurityFilter
  def filter(tag, time, record)
    data = {
      'ident' => record['ident'],
      'Timestamp' => OMS::Common::fast_utc_to_iso8601_format(Time.now.utc),
      'EventTime' => OMS::Common::fast_utc_to_iso8601_format(Time.at(time).utc),
      'Host' => record['host'],
    }
  end
end
