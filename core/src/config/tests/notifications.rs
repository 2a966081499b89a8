//! What users read when something is wrong with `notifications`.
//! It must not test how messages are sent.

use expect_test::expect;

use super::{EXPORTS, SOURCE, check};

#[test]
fn who_is_told() {
    let texts = [
        "",
        "on: [failure]",
        "webhook_url: https://h/a, webhook_url_env: WORD",
        "webhook_url: hooks.example/a",
        "webhook_url: https://",
        "webhook_url_env: WORD",
        "webhook_url_env: NO_SUCH",
        "webhook_url: https://h/a, on: []",
        "webhook_url: https://h/a, on: [failure, sucess]",
        "webhook: https://h/a",
    ];
    check(
        &texts,
        |text| format!("{SOURCE}{EXPORTS}notifications: {{slack: {{{text}}}}}\n"),
        expect![[r#"
        ""
        config.missing_key: notifications.slack.webhook_url (line 3) is missing
          hint: name the variable that holds it: `webhook_url_env: SLACK_WEBHOOK_URL`
        "on: [failure]"
        config.missing_key: notifications.slack.webhook_url (line 3) is missing
          hint: name the variable that holds it: `webhook_url_env: SLACK_WEBHOOK_URL`
        "webhook_url: https://h/a, webhook_url_env: WORD"
        config.conflict: notifications.slack (line 3) has both webhook_url and webhook_url_env
          hint: keep one of them
        "webhook_url: hooks.example/a"
        config.bad_value: notifications.slack.webhook_url (line 3) must be a URL that starts with https://
          hint: Slack shows the URL where the incoming webhook was made
        "webhook_url: https://"
        config.bad_value: notifications.slack.webhook_url (line 3) must be a URL that starts with https://
          hint: Slack shows the URL where the incoming webhook was made
        "webhook_url_env: WORD"
        config.bad_value: notifications.slack.webhook_url_env (line 3) must be a URL that starts with https://
          hint: Slack shows the URL where the incoming webhook was made
        "webhook_url_env: NO_SUCH"
        config.unset_variable: notifications.slack.webhook_url_env (line 3) needs the variable NO_SUCH, which is not set
          hint: set it in the environment of rivet
        "webhook_url: https://h/a, on: []"
        config.bad_value: notifications.slack.on (line 3) is empty
          hint: give it a value, or remove the key
        "webhook_url: https://h/a, on: [failure, sucess]"
        config.bad_value: notifications.slack.on[1] (line 3) must be 'failure', 'schema_change' or 'degraded'
        "webhook: https://h/a"
        config.unknown_key: unknown key notifications.slack.webhook (line 3)
        config.missing_key: notifications.slack.webhook_url (line 3) is missing
          hint: name the variable that holds it: `webhook_url_env: SLACK_WEBHOOK_URL`
    "#]],
    );
}
