//! "Did you mean": the known word nearest to an unknown one, or the one that other tools call so.
//! It must not know where words come from.

/// The nearest of `known`, if it is near enough to be what was meant.
fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // A transposed pair is one slip of the fingers, so the distance counts it as one.
    let most = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), k), k))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

/// Keys and values of other tools: the word, what it is called here, and what to say where no such word is known.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("connection", &["source", "url"], "the connection stands under `source`"),
    ("connection_string", &["url", "source"], "the connection stands under `source`: `url`, or `url_env`"),
    ("database_url", &["url", "source"], "the connection stands under `source`: `url`, or `url_env`"),
    ("dsn", &["url", "source"], "the connection stands under `source`: `url`, or `url_env`"),
    ("conn", &["source", "url"], "the connection stands under `source`"),
    ("dbname", &["database"], ""),
    ("db", &["database"], ""),
    ("username", &["user"], ""),
    ("hostname", &["host"], ""),
    ("server", &["host"], ""),
    ("passwd", &["password"], ""),
    ("pass", &["password"], ""),
    ("sslmode", &["tls", "mode"], ""),
    ("ssl", &["tls"], ""),
    ("ssl_mode", &["tls", "mode"], ""),
    ("sslrootcert", &["ca_file", "tls"], ""),
    ("streams", &["exports"], "each stream is an entry under `exports`"),
    ("stream", &["table", "exports"], ""),
    ("jobs", &["exports"], "each job is an entry under `exports`"),
    ("tasks", &["exports"], "each task is an entry under `exports`"),
    ("target", &["destination"], "each export has its own `destination`; `defaults` can hold one for all"),
    ("sink", &["destination"], "each export has its own `destination`; `defaults` can hold one for all"),
    ("output", &["destination"], "each export has its own `destination`; `defaults` can hold one for all"),
    ("destinations", &["destination"], "each export has its own `destination`; `defaults` can hold one for all"),
    ("object", &["path", "destination"], ""),
    ("directory", &["path"], ""),
    ("folder", &["path"], ""),
    ("table_name", &["table"], ""),
    ("source_table", &["table"], ""),
    ("sql", &["query"], ""),
    ("statement", &["query"], ""),
    ("sql_file", &["query_file"], ""),
    ("filter", &["where"], ""),
    ("condition", &["where"], ""),
    ("columns_include", &["select"], ""),
    ("replication", &["mode"], "each export has its `mode`: `full` or `incremental`"),
    ("replication_method", &["mode"], ""),
    ("replication_key", &["cursor_column"], ""),
    ("sync_mode", &["mode"], ""),
    ("load_mode", &["mode"], ""),
    ("write_disposition", &["mode"], ""),
    ("incremental_key", &["cursor_column"], ""),
    ("incremental_column", &["cursor_column"], ""),
    ("cursor_field", &["cursor_column"], ""),
    ("cursor", &["cursor_column"], ""),
    ("watermark_column", &["cursor_column"], ""),
    ("update_key", &["cursor_column"], ""),
    ("primary_key", &[], "no key is needed: rivet only extracts; for what is new name a `cursor_column`"),
    ("unique_key", &[], "no key is needed: rivet only extracts; for what is new name a `cursor_column`"),
    ("merge_key", &[], "no key is needed: rivet only extracts, and merges nothing"),
    ("schedule", &[], "rivet has no scheduler: run it from cron, Airflow or the like"),
    ("cron", &[], "rivet has no scheduler: run it from cron, Airflow or the like"),
    ("workers", &["parallel"], ""),
    ("threads", &["parallel"], ""),
    ("concurrency", &["parallel"], ""),
    ("parallelism", &["parallel"], ""),
    ("fetch_size", &["batch_size"], "`tuning: {batch_size: …}`"),
    ("chunksize", &["batch_size"], "`tuning: {batch_size: …}`"),
    ("file_format", &["format"], ""),
    ("file_type", &["format"], ""),
    ("codec", &["compression"], ""),
    ("state_file", &["state"], "`state: {url: FILE}`"),
    // Values.
    ("full_refresh", &["full"], "`mode: full` reads everything in each run, `rivet run --full-refresh` once"),
    ("full_table", &["full"], ""),
    ("overwrite", &["full"], ""),
    ("replace", &["full"], ""),
    ("truncate", &["full"], ""),
    ("snapshot", &["full"], ""),
    ("append", &["incremental"], ""),
    ("merge", &["incremental"], ""),
    ("upsert", &["incremental"], ""),
    ("backfill", &["full"], ""),
    ("cdc", &["incremental"], ""),
    ("prefer", &["require"], ""),
    ("gz", &["gzip"], ""),
    ("zst", &["zstd"], ""),
    ("zstandard", &["zstd"], ""),
    ("uncompressed", &["none"], ""),
    ("prod", &["production"], ""),
    ("dev", &["local"], ""),
];

/// The hint that goes with the nearest of `known`, if it is near enough to be what was meant, or with what another tool
/// calls so.
pub fn did_you_mean<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    // Long words are no slips; comparing them would only take time.
    if word.len() > 64 {
        return None;
    }
    let known: Vec<&str> = known.into_iter().collect();
    let plain = word.to_lowercase().replace('-', "_");
    let elsewhere = ELSEWHERE.iter().find(|(word, ..)| *word == plain);
    let here = elsewhere.and_then(|(_, here, _)| here.iter().find(|word| known.contains(word)).copied());
    let meant = here.or_else(|| nearest(word, known)).map(|k| format!("did you mean '{k}'?"));
    let said = elsewhere.map(|(.., say)| *say).filter(|say| !say.is_empty());
    meant.or_else(|| said.map(str::to_owned))
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.as_slice() {
        [firsts @ .., last] if !firsts.is_empty() => format!("{} or {last}", firsts.join(", ")),
        _ => quoted.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::{ELSEWHERE, did_you_mean, nearest};

    #[test]
    fn words_of_other_tools_are_understood() {
        let keys = ["source", "exports", "defaults", "mode", "cursor_column", "destination", "name", "table", "tuning"];
        for (word, expected) in [
            ("connection", Some("did you mean 'source'?")),
            ("streams", Some("did you mean 'exports'?")),
            ("incremental_key", Some("did you mean 'cursor_column'?")),
            ("Cursor-Field", Some("did you mean 'cursor_column'?")),
            ("target", Some("did you mean 'destination'?")),
            ("batch-size", None),
            ("fetch_size", Some("`tuning: {batch_size: …}`")),
            ("schedule", Some("rivet has no scheduler: run it from cron, Airflow or the like")),
        ] {
            assert_eq!(did_you_mean(word, keys).as_deref(), expected, "{word}");
        }
        for (word, expected) in [("full-refresh", "full"), ("append", "incremental"), ("FULL_TABLE", "full")] {
            let hint = did_you_mean(word, ["full", "incremental"]);
            assert_eq!(hint, Some(format!("did you mean '{expected}'?")), "{word}");
        }
        assert_eq!(did_you_mean("dbname", ["user", "database", "name"]), Some("did you mean 'database'?".to_owned()));
    }

    #[test]
    fn the_table_says_each_word_once_and_something_of_each() {
        for (i, (word, here, say)) in ELSEWHERE.iter().enumerate() {
            assert!(!here.is_empty() || !say.is_empty(), "{word}");
            assert!(ELSEWHERE[..i].iter().all(|(before, ..)| before != word), "{word}");
            let is_ours = |word: &&str| crate::config::is_key(word) || WORDS.contains(word);
            assert!(here.iter().all(is_ours), "{word}: {here:?}");
            assert!(!crate::config::is_key(word), "{word} is a key here");
        }
    }

    /// Values, and options of plugins, that the table leads to.
    const WORDS: [&str; 11] =
        ["path", "full", "incremental", "require", "gzip", "zstd", "none", "production", "local", "mode", "url"];

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["format", "name", "url", "url_env", "table", "mode"];
        let cases = [
            ("formatt", Some("format")),
            ("fromat", Some("format")),
            ("Format", Some("format")),
            ("ulr", Some("url")),
            ("url_evn", Some("url_env")),
            ("tables", Some("table")),
            ("x", None),
            ("quality", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
