//! Secrets from the variables of the environment, as a config names them or as a provider's own tools do.
//! It must not know what they are secrets of, and never shows a value.

use rivet_plugin_api::{ErrorKind, PluginError, Result, Secret};

/// Longest name without an underscore that is taken for one: keys and tokens are longer.
const MAX_PLAIN_NAME: usize = 24;

/// Whether a text is a name of a variable and not what somebody wanted to keep in one.
fn is_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && (text.contains('_') || text.len() <= MAX_PLAIN_NAME)
}

/// The value of a variable that a key of the config names.
///
/// # Errors
/// `Config` when it is not set or empty.
pub fn variable(key: &str, name: &str) -> Result<Secret> {
    found(name).ok_or_else(|| {
        let text = match is_name(name) {
            true => format!("`{key}` names the environment variable '{name}', which is not set"),
            false => format!("`{key}` holds what is no name of an environment variable"),
        };
        PluginError::new(ErrorKind::Config, "store.credentials", text)
            .hint("set the variable where rivet runs; the key takes the name of a variable, not its value")
    })
}

/// The value of a variable that is set and not empty.
pub fn found(name: &str) -> Option<Secret> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).map(Secret::new)
}

/// Two that are given together or not at all; `keys` are what users call them.
///
/// # Errors
/// `Config` when one of them is missing.
pub fn pair<T>(keys: [&str; 2], values: [Option<T>; 2]) -> Result<Option<[T; 2]>> {
    let [first, second] = values;
    let missing = match (first, second) {
        (Some(first), Some(second)) => return Ok(Some([first, second])),
        (None, None) => return Ok(None),
        (Some(_), None) => [keys[0], keys[1]],
        (None, Some(_)) => [keys[1], keys[0]],
    };
    let text = format!("`{}` is set without `{}`", missing[0], missing[1]);
    Err(PluginError::new(ErrorKind::Config, "store.credentials", text)
        .hint("half a pair of credentials is of no use: set both or neither; nothing is added from other places"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_an_error_that_names_the_other_half() {
        assert_eq!(pair(["a", "b"], [Some(1), Some(2)]).expect("both"), Some([1, 2]));
        assert_eq!(pair::<u8>(["a", "b"], [None, None]).expect("none"), None);
        for (values, message) in
            [([Some(1), None], "`a` is set without `b`"), ([None, Some(2)], "`b` is set without `a`")]
        {
            assert_eq!(pair(["a", "b"], values).expect_err(message).message(), message);
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = variable("access_key_env", "RIVET_TEST_NO_SUCH_VARIABLE").expect_err("not set");
        assert_eq!(
            error.message(),
            "`access_key_env` names the environment variable 'RIVET_TEST_NO_SUCH_VARIABLE', which is not set"
        );
        // Who takes a key of this kind for its value is told so without it.
        for secret in ["wJalrXUtnFEMIxK7MDENGxbPxRfiCYEXAMPLEKEY", "c2VjcmV0LWtleQ==", "ya29.a0-token", "sv=1&sig=x"] {
            let error = variable("secret_key_env", secret).expect_err("not set");
            assert_eq!(error.message(), "`secret_key_env` holds what is no name of an environment variable");
            assert!(!format!("{error:?}").contains(secret), "{error:?}");
        }
    }
}
