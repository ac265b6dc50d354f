//! Names of hosts, users and groups are looked up by what is built into the program: `/etc/hosts` and DNS,
//! `/etc/passwd`, `/etc/group`. The program is linked statically (see build.rs); the C library would otherwise load the
//! modules that `/etc/nsswitch.conf` names (systemd, myhostname, sss …), which were made for another C library, and
//! crash inside them.

/// Keeps the C library from loading modules. To be called before anything looks a name up.
pub fn use_built_in_lookups() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (database, services) in [
        (c"hosts", c"files dns"),
        (c"passwd", c"files"),
        (c"group", c"files"),
        (c"initgroups", c"files"),
        (c"services", c"files"),
    ] {
        configure(database, services);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // glibc's own call for this, which no crate wraps
fn configure(database: &std::ffi::CStr, services: &std::ffi::CStr) {
    unsafe extern "C" {
        /// `<nss.h>`: replaces the line of one database for this process; both strings are copied.
        fn __nss_configure_lookup(
            database: *const std::ffi::c_char,
            services: *const std::ffi::c_char,
        ) -> std::ffi::c_int;
    }
    // SAFETY: two valid C strings, which outlive the call. It fails for unknown databases only; these are known.
    unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
}
