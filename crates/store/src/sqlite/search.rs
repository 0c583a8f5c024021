//! Full-text search, by SQLite's FTS5: words without case and accents (`unicode61`). A language that writes without spaces is found by
//! the beginning of what stands between two marks; a trigram index would find parts of words and be several times as large.

use rusqlite::{Connection, ToSql};
use voxhall_protocol::{MessageId, control::Found};

use super::{accounts::to_sql, messages::Loader};
use crate::{Has, Search, Term};

/// Around what was found, in what SQLite gives back.
const FROM: char = '\u{1}';
const UP_TO: char = '\u{2}';

/// Newest first, and whether there are more.
pub(super) fn find(c: &Connection, search: &Search) -> rusqlite::Result<(Vec<Found>, bool)> {
    let Some(mut rows) = find_ids(c, search)? else {
        return Ok((Vec::new(), false));
    };
    let more = rows.len() > search.limit as usize;
    rows.truncate(search.limit as usize);
    let mut loader = Loader::new(c, search.reader);
    let mut found = Vec::with_capacity(rows.len());
    for (message, marked) in rows {
        for message in loader.all("WHERE id = ?1", [message])? {
            let highlights = marked
                .as_deref()
                .map(|marked| highlights(marked, &message.text))
                .unwrap_or_default();
            found.push(Found {
                message,
                highlights,
            });
        }
    }
    Ok((found, more))
}

/// A message, and its text with marks where words were looked for.
type Hit = (i64, Option<String>);

/// One more than asked for tells whether there are more. None: nothing can fit.
fn find_ids(c: &Connection, search: &Search) -> rusqlite::Result<Option<Vec<Hit>>> {
    let ids = |ids: &mut dyn Iterator<Item = u64>| {
        let ids: Vec<String> = ids.map(|id| to_sql(id).to_string()).collect();
        format!("[{}]", ids.join(","))
    };
    let words = match_expression(&search.terms);
    if words.is_none() && !search.terms.is_empty() {
        return Ok(None);
    }
    let before = search.before.map_or(i64::MAX, |MessageId(id)| to_sql(id));
    let limit = search.limit.saturating_add(1);
    let channels = ids(&mut search.channels.iter().map(|channel| channel.0));
    let from = search
        .from
        .as_ref()
        .map(|from| ids(&mut from.iter().map(|user| user.0)));

    let mut params: Vec<(&str, &dyn ToSql)> = vec![
        (":before", &before),
        (":limit", &limit),
        (":channels", &channels),
    ];
    let mut sql = match &words {
        Some(words) => {
            params.push((":words", words));
            // The index gives the newest first, so that the search ends when there are enough.
            "SELECT m.id, highlight(messages_fts, 0, char(1), char(2)) FROM messages_fts CROSS JOIN messages m ON m.id = messages_fts.rowid
             WHERE messages_fts MATCH :words AND messages_fts.rowid < :before"
                .to_owned()
        }
        None => "SELECT m.id, NULL FROM messages m WHERE m.id < :before".to_owned(),
    };
    sql += " AND m.channel_id IN (SELECT value FROM json_each(:channels))";
    if let Some(from) = &from {
        params.push((":from", from));
        sql += " AND m.author_id IN (SELECT value FROM json_each(:from))";
    }
    if let Some(until) = &search.sent_before {
        params.push((":until", until));
        sql += " AND m.sent_at_ms < :until";
    }
    if let Some(since) = &search.sent_since {
        params.push((":since", since));
        sql += " AND m.sent_at_ms >= :since";
    }
    for has in &search.has {
        sql += match has {
            Has::File => " AND EXISTS (SELECT 1 FROM files f WHERE f.message_id = m.id)",
            Has::Picture => {
                " AND EXISTS (SELECT 1 FROM files f WHERE f.message_id = m.id AND f.width IS NOT NULL)"
            }
            // LIKE knows no case.
            Has::Link => " AND (m.text LIKE '%http://%' OR m.text LIKE '%https://%')",
        };
    }
    sql += if words.is_some() {
        " ORDER BY messages_fts.rowid DESC LIMIT :limit"
    } else {
        " ORDER BY m.id DESC LIMIT :limit"
    };
    let mut found = c.prepare_cached(&sql)?;
    let rows = found.query_map(&params[..], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect::<Result<_, _>>().map(Some)
}

/// In FTS5's language, where whatever stands in quotes is words and nothing else. None: there are no words.
fn match_expression(terms: &[Term]) -> Option<String> {
    let has_words = |term: &&Term| term.text.chars().any(char::is_alphanumeric);
    let phrases: Vec<String> = terms
        .iter()
        .filter(has_words)
        .map(|term| {
            // A zero would end the query.
            let text = term.text.replace('"', "\"\"").replace('\0', " ");
            let prefix = if term.prefix { " *" } else { "" };
            format!("\"{text}\"{prefix}")
        })
        .collect();
    (!phrases.is_empty()).then(|| phrases.join(" "))
}

/// From and up to, in characters. None where the text itself has marks in it.
fn highlights(marked: &str, text: &str) -> Vec<(u32, u32)> {
    if text.contains([FROM, UP_TO]) {
        return Vec::new();
    }
    let mut highlights = Vec::new();
    let (mut at, mut from) = (0, 0);
    for c in marked.chars() {
        match c {
            FROM => from = at,
            UP_TO => highlights.push((from, at)),
            _ => at += 1,
        }
    }
    highlights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever is typed is words, or nothing, and never a query that SQLite refuses.
        #[test]
        fn nothing_typed_is_more_than_words(texts in prop::collection::vec(("\\PC{0,12}|[\\x00-\\x7f]{0,12}", any::<bool>()), 0..4)) {
            let c = Connection::open_in_memory().unwrap();
            c.execute_batch("CREATE VIRTUAL TABLE t USING fts5 (text, other); INSERT INTO t VALUES ('a b', 'c')").unwrap();
            let terms: Vec<Term> = texts.into_iter().map(|(text, prefix)| Term { text, prefix }).collect();
            if let Some(words) = match_expression(&terms) {
                let found: rusqlite::Result<u32> = c.query_row("SELECT count(*) FROM t WHERE t MATCH ?1", [&words], |row| row.get(0));
                prop_assert!(found.is_ok(), "{:?}: {:?}", words, found);
            }
        }

        #[test]
        fn highlights_are_where_the_marks_were(parts in prop::collection::vec("[a-zé🏖 ]{0,5}", 1..6)) {
            let marked: String = parts.iter().enumerate().map(|(n, part)| if n % 2 == 1 { format!("{FROM}{part}{UP_TO}") } else { part.clone() }).collect();
            let text: Vec<char> = parts.concat().chars().collect();
            let found: Vec<String> = highlights(&marked, &parts.concat())
                .into_iter()
                .map(|(from, to)| text[from as usize..to as usize].iter().collect())
                .collect();
            let expected: Vec<String> = parts.iter().skip(1).step_by(2).cloned().collect();
            prop_assert_eq!(found, expected);
        }
    }
}
