//! Whether a library's types fit this host's, whichever of the two is older.
//! It must not know what the types mean.

use std::path::Path;

use rivet_plugin_abi::abi_stable::StableAbi;
use rivet_plugin_abi::abi_stable::abi_stability::abi_checking::{
    CheckingGlobals, check_layout_compatibility_with_globals,
};
use rivet_plugin_abi::abi_stable::library::AbiHeaderRef;
use rivet_plugin_abi::abi_stable::type_layout::TypeLayout;
use rivet_plugin_abi::{ABI_VERSION, PluginLibraryRef};

use super::LoadError;

/// The root module behind a header, once version and layout are known to fit.
pub fn checked_root(path: &Path, header: AbiHeaderRef) -> Result<PluginLibraryRef, LoadError> {
    let host = ABI_VERSION.to_owned();
    let refused = |plugin: String, difference: String| LoadError::Layout {
        path: path.to_owned(),
        plugin,
        host: ABI_VERSION.to_owned(),
        difference,
    };
    let header = header
        .upgrade()
        .map_err(|e| refused("unknown".to_owned(), format!("its header is of another kind: {}", first_line(&e))))?;
    let plugin = header.version_strings().version.as_str().to_owned();
    if compatible_range(&plugin) != compatible_range(&host) {
        return Err(LoadError::Version { path: path.to_owned(), plugin, host });
    }
    let Some(theirs) = header.layout() else {
        return Err(refused(plugin, "it carries no description of its types".to_owned()));
    };
    let ours = <PluginLibraryRef as StableAbi>::LAYOUT;
    if let Err(newer) = fits(ours, theirs)
        && fits(theirs, ours).is_err()
    {
        return Err(refused(plugin, summary(&newer)));
    }
    // SAFETY: the layouts fit in one of the two directions; functions the older side lacks read as absent.
    unsafe { header.unchecked_layout::<PluginLibraryRef>() }
        .map_err(|_| refused(plugin, "its root module failed to start".to_owned()))
}

/// Fresh globals each time: the process-wide map makes the answer depend on the order of loading.
fn fits(expected: &'static TypeLayout, found: &'static TypeLayout) -> Result<(), String> {
    check_layout_compatibility_with_globals(expected, found, &CheckingGlobals::new()).map_err(|e| e.to_string())
}

/// What must be equal for two versions to be compatible: the major, or before 1.0 the minor.
fn compatible_range(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split(['.', '-', '+']).map(str::parse::<u64>);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    Some((major, if major == 0 { minor } else { 0 }))
}

/// The layout report runs to thousands of lines: the names on the way to the last error say what differs.
fn summary(report: &str) -> String {
    let last = report.rsplit("error(s)inside:").next().unwrap_or_default();
    let way = last.split("Layout of expected type:").next().unwrap_or_default();
    let names: Vec<&str> = way.lines().filter_map(|l| l.trim().strip_prefix("field_name:")).map(str::trim).collect();
    // Wrappers and results have names that say nothing.
    let telling: Vec<&str> = names
        .into_iter()
        .filter(|name| !matches!(*name, "__returns" | "data" | "vtable" | "buffer"))
        .filter(|name| !name.trim_start_matches("field_").bytes().all(|b| b.is_ascii_digit()))
        .collect();
    let place = if telling.is_empty() { "a type".to_owned() } else { telling.join(".") };
    let mut causes = report.lines().filter_map(|l| l.trim().strip_prefix("Error:"));
    format!("{place}: {}", causes.next_back().map_or("the types differ", str::trim))
}

fn first_line(e: &impl std::fmt::Display) -> String {
    e.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::compatible_range;

    #[test]
    fn before_1_0_the_minor_counts_as_the_major() {
        let same = |a, b| compatible_range(a) == compatible_range(b);
        assert!(same("0.1.0", "0.1.9") && same("1.0.0", "1.7.3"));
        assert!(!same("0.1.0", "0.2.0") && !same("1.0.0", "2.0.0") && !same("0.1.0", "1.1.0"));
        assert_eq!(compatible_range("x"), None);
    }
}
