//! The distribution: os-release, service managers, package managers, firewalls, security modules. Knows nothing of CEF.

pub mod access;
pub mod accounts;
pub mod apparmor;
mod bare;
pub mod certificate;
pub mod control;
pub mod firewall;
pub mod os_release;
pub mod packages;
pub mod selinux;
pub mod selinux_policy;
pub mod service;
pub mod service_act;
pub mod setting;
