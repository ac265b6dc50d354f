//! How this agent gets on a box: by Azure, with steps that no tool on the box can take (facts 3.6).

use super::dcr::Stream;

/// The steps, for a machine in Azure and for any other, with what can be filled in.
pub fn install(in_azure: Option<bool>, machine: &str) -> String {
    let azure = "on a virtual machine in Azure, which needs a managed identity:\n  \
                 az vm extension set --name AzureMonitorLinuxAgent --publisher Microsoft.Azure.Monitor \\\n    \
                 --ids VM_ID --enable-auto-upgrade true";
    let arc = format!(
        "on any other machine, connect it to Azure Arc first, then add the agent:\n  \
         azcmagent connect --resource-group GROUP --location REGION --subscription-id SUBSCRIPTION --tenant-id TENANT\n  \
         az connectedmachine extension create --name AzureMonitorLinuxAgent --publisher Microsoft.Azure.Monitor \\\n    \
         --type AzureMonitorLinuxAgent --machine-name {machine} --resource-group GROUP --location REGION --enable-auto-upgrade true"
    );
    let first = match in_azure {
        Some(true) => azure.to_owned(),
        Some(false) => arc,
        None => format!("{azure}\n{arc}"),
    };
    format!("{first}\nthen {}", rule(&[Stream::Cef, Stream::Asa]))
}

/// How a data collection rule comes to ask for streams.
pub fn rule(streams: &[Stream]) -> String {
    let names: Vec<&str> = streams.iter().map(|s| s.in_rule()).collect();
    format!(
        "create a data collection rule with the stream {} for the facilities that your devices use, and associate it with \
         this machine (Microsoft Sentinel, Data connectors, Common Event Format (CEF) via AMA)",
        names.join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_fit_the_machine() {
        assert!(
            install(Some(true), "m").contains("az vm extension") && !install(Some(true), "m").contains("azcmagent")
        );
        assert!(install(Some(false), "box7").contains("--machine-name box7"));
        let both = install(None, "m");
        assert!(both.contains("az vm extension") && both.contains("azcmagent connect"));
    }
}
