//! Lists as flags take them.

/// What stands between the commas. A place that holds nothing is most likely a variable of a script that is not set, and
/// what it was to hold would be missed later.
pub(super) fn words(text: &str) -> Result<Vec<&str>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<&str> = text.split(',').map(str::trim).collect();
    if words.contains(&"") {
        return Err("it has an empty entry".to_owned());
    }
    Ok(words)
}
