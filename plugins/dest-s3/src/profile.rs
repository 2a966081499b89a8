//! Whether a profile of the AWS configuration files is whole: the library passes over half a pair of keys in silence.
//! It must not know what else a profile may hold, and never shows a value.

use std::path::PathBuf;

use rivet_plugin_api::Result;
use rivet_shared_object::{found, pair};

const KEYS: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

/// Looks at the profile in both files; what cannot be read is left to who reads it next.
///
/// # Errors
/// `Config` when one of the two keys is there without the other.
pub fn ensure_whole(profile: Option<&str>) -> Result<()> {
    let of_environment = found("AWS_PROFILE").map(|name| name.expose().to_owned());
    let profile = profile.or(of_environment.as_deref()).unwrap_or("default");
    let of_config = if profile == "default" { profile.to_owned() } else { format!("profile {profile}") };
    for (variable, usual, section) in
        [("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", profile), ("AWS_CONFIG_FILE", ".aws/config", &of_config)]
    {
        let named = found(variable).map(|path| PathBuf::from(path.expose()));
        let home = || Some(PathBuf::from(found("HOME")?.expose()).join(usual));
        if let Some(text) = named.or_else(home).and_then(|path| std::fs::read_to_string(path).ok()) {
            pair(KEYS, keys(&text, section))?;
        }
    }
    Ok(())
}

/// Which of the keys a section has.
fn keys(text: &str, section: &str) -> [Option<()>; 2] {
    let header = |line: &str| Some(line.trim().strip_prefix('[')?.strip_suffix(']')?.trim().to_owned());
    let after = text.lines().skip_while(|line| header(line).as_deref() != Some(section)).skip(1);
    let names: Vec<&str> = after
        .take_while(|line| header(line).is_none())
        .filter_map(|line| Some(line.split_once('=')?.0.trim()))
        .collect();
    KEYS.map(|key| names.contains(&key).then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_their_own_section() {
        let text = "[default]\naws_access_key_id = A\n# aws_secret_access_key = B\n\n[lake]\n\
                    aws_access_key_id=A\n aws_secret_access_key = B=\n[profile other]\nregion = x\n";
        for (section, expected) in [
            ("default", [Some(()), None]),
            ("lake", [Some(()), Some(())]),
            ("profile other", [None, None]),
            ("nobody", [None, None]),
        ] {
            assert_eq!(keys(text, section), expected, "{section}");
        }
    }
}
