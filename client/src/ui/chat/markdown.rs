//! What a message's text means: Markdown, addresses of web pages, mentions and spoilers, as a flat list of blocks.

use std::sync::Arc;

use pulldown_cmark::{
    CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, TextMergeStream,
};
use voxhall_protocol::{RoleId, UserId};

/// Quotes and lists deeper than this stand where this one stands.
const MOST_DEEP: u8 = 6;
/// Other addresses than these are not for clicking.
const SCHEMES: [&str; 4] = ["https://", "http://", "mailto:", "voxhall://"];

/// A paragraph or what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How many quotes it is in.
    pub quote: u8,
    /// How many lists it is in.
    pub indent: u8,
    /// Before the first paragraph of a list's item: a number or a bullet.
    pub marker: Option<String>,
    pub kind: BlockKind,
    pub spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockKind {
    Text,
    /// 1 is the largest.
    Heading(u8),
    Code,
    Rule,
}

/// Text of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub text: String,
    pub style: Style,
    pub target: Option<Target>,
    /// Hidden until it is clicked; those of one number are shown together.
    pub spoiler: Option<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    pub strong: bool,
    pub emphasis: bool,
    pub strike: bool,
    pub code: bool,
}

/// What a piece of text leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Link(Arc<str>),
    User(UserId),
    Role(RoleId),
    Everyone,
}

pub fn parse(text: &str) -> Vec<Block> {
    let mut reader = Reader::default();
    for event in TextMergeStream::new(Parser::new_ext(text, Options::ENABLE_STRIKETHROUGH)) {
        reader.event(event);
    }
    reader.close();
    let mut spoilers = 0;
    for block in &mut reader.blocks {
        if block.kind != BlockKind::Code {
            let spans = std::mem::take(&mut block.spans);
            let spans = hide_spoilers(spans, &mut spoilers);
            block.spans = spans.into_iter().flat_map(find_targets).collect();
        }
    }
    reader.blocks
}

#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    open: Option<Block>,
    quote: u8,
    /// The lists one is in, each with its next number if it is numbered.
    lists: Vec<Option<u64>>,
    marker: Option<String>,
    strong: u8,
    emphasis: u8,
    strike: u8,
    link: Option<Arc<str>>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                self.push(&text, false);
            }
            Event::Code(text) => self.push(&text, true),
            Event::SoftBreak | Event::HardBreak => self.push("\n", false),
            Event::Rule => {
                self.begin(BlockKind::Rule);
                self.close();
            }
            // Not asked for.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.push(&text, false);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.begin(BlockKind::Text),
            Tag::Heading { level, .. } => self.begin(BlockKind::Heading(match level {
                HeadingLevel::H1 => 1,
                HeadingLevel::H2 => 2,
                _ => 3,
            })),
            Tag::BlockQuote(_) => {
                self.close();
                self.quote = self.quote.saturating_add(1);
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.begin(BlockKind::Code);
            }
            Tag::List(first) => {
                self.close();
                self.lists.push(first);
            }
            Tag::Item => {
                self.close();
                self.marker = Some(match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}.");
                        *number = number.saturating_add(1);
                        marker
                    }
                    _ => "•".to_owned(),
                });
            }
            Tag::Emphasis => self.emphasis = self.emphasis.saturating_add(1),
            Tag::Strong => self.strong = self.strong.saturating_add(1),
            Tag::Strikethrough => self.strike = self.strike.saturating_add(1),
            // A picture from somewhere would tell that somewhere who reads here: it is only named.
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let known = SCHEMES.iter().any(|scheme| dest_url.starts_with(scheme));
                self.link = known.then(|| Arc::from(&*dest_url));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock | TagEnd::Heading(_) | TagEnd::CodeBlock => {
                self.close();
            }
            TagEnd::BlockQuote(_) => {
                self.close();
                self.quote = self.quote.saturating_sub(1);
            }
            TagEnd::List(_) => {
                self.close();
                self.lists.pop();
            }
            TagEnd::Item => {
                if self.marker.is_some() {
                    self.begin(BlockKind::Text);
                }
                self.close();
            }
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Strikethrough => self.strike = self.strike.saturating_sub(1),
            TagEnd::Link | TagEnd::Image => self.link = None,
            _ => {}
        }
    }

    fn begin(&mut self, kind: BlockKind) {
        self.close();
        let depth = u8::try_from(self.lists.len()).unwrap_or(u8::MAX);
        self.open = Some(Block {
            quote: self.quote.min(MOST_DEEP),
            indent: depth.min(MOST_DEEP),
            marker: self.marker.take(),
            kind,
            spans: Vec::new(),
        });
    }

    fn push(&mut self, text: &str, code: bool) {
        // The items of a tight list have no paragraphs.
        if self.open.is_none() {
            self.begin(BlockKind::Text);
        }
        let style = Style {
            strong: self.strong > 0,
            emphasis: self.emphasis > 0,
            strike: self.strike > 0,
            code,
        };
        let target = self.link.clone().map(Target::Link);
        let Some(block) = &mut self.open else { return };
        match block.spans.last_mut() {
            Some(last) if last.style == style && last.target == target => last.text.push_str(text),
            _ => block.spans.push(Span {
                text: text.to_owned(),
                style,
                target,
                spoiler: None,
            }),
        }
    }

    fn close(&mut self) {
        let Some(mut block) = self.open.take() else {
            return;
        };
        if let Some(last) = block.spans.last_mut() {
            last.text.truncate(last.text.trim_end_matches('\n').len());
        }
        block.spans.retain(|span| !span.text.is_empty());
        if !block.spans.is_empty() || block.marker.is_some() || block.kind == BlockKind::Rule {
            self.blocks.push(block);
        }
    }
}

/// What stands between two `||` is hidden; one without a second stands for itself.
fn hide_spoilers(spans: Vec<Span>, next: &mut u8) -> Vec<Span> {
    let marks = |span: &Span| {
        if span.style.code {
            0
        } else {
            span.text.matches("||").count()
        }
    };
    let mut pairs = spans.iter().map(marks).sum::<usize>() / 2;
    let (mut hidden, mut found) = (None, Vec::new());
    for span in spans {
        if marks(&span) == 0 {
            found.push(Span {
                spoiler: hidden,
                ..span
            });
            continue;
        }
        let mut rest = &*span.text;
        let mut piece = String::new();
        let mut put = |piece: &mut String, hidden| {
            if !piece.is_empty() {
                found.push(Span {
                    text: std::mem::take(piece),
                    spoiler: hidden,
                    ..span.clone()
                });
            }
        };
        while let Some((before, after)) = rest.split_once("||") {
            piece.push_str(before);
            rest = after;
            if hidden.is_some() {
                put(&mut piece, hidden);
                hidden = None;
            } else if pairs > 0 {
                put(&mut piece, None);
                pairs -= 1;
                hidden = Some(*next);
                *next = next.saturating_add(1);
            } else {
                piece.push_str("||");
            }
        }
        piece.push_str(rest);
        put(&mut piece, hidden);
    }
    found
}

/// Cuts mentions and addresses out of a span.
fn find_targets(span: Span) -> Vec<Span> {
    if span.style.code || span.target.is_some() {
        return vec![span];
    }
    let mut found = Vec::new();
    let (mut start, mut at) = (0, 0);
    let text = &*span.text;
    while let Some(ahead) = text[at..].find(['h', '<', '@']) {
        at += ahead;
        let inside_word = text[..at]
            .chars()
            .next_back()
            .is_some_and(char::is_alphanumeric);
        let hit = if inside_word {
            None
        } else {
            target_at(&text[at..])
        };
        let Some((length, target)) = hit else {
            at += 1;
            continue;
        };
        if at > start {
            found.push(Span {
                text: text[start..at].to_owned(),
                ..span.clone()
            });
        }
        found.push(Span {
            text: text[at..at + length].to_owned(),
            target: Some(target),
            ..span.clone()
        });
        at += length;
        start = at;
    }
    if start < text.len() {
        found.push(Span {
            text: text[start..].to_owned(),
            ..span.clone()
        });
    }
    found
}

/// A mention or an address at the beginning of the text, and how many bytes it has.
pub fn target_at(text: &str) -> Option<(usize, Target)> {
    const EVERYONE: &str = "@everyone";
    if let Some(rest) = text.strip_prefix("<@") {
        let inside = &rest[..rest.find('>')?];
        let target = match inside.strip_prefix('&') {
            Some(role) => Target::Role(RoleId(role.parse().ok()?)),
            None => Target::User(UserId(inside.parse().ok()?)),
        };
        return Some((inside.len() + "<@>".len(), target));
    }
    if let Some(rest) = text.strip_prefix(EVERYONE) {
        let ends = !rest.chars().next().is_some_and(char::is_alphanumeric);
        return ends.then_some((EVERYONE.len(), Target::Everyone));
    }
    let scheme = ["https://", "http://"]
        .into_iter()
        .find(|scheme| text.starts_with(scheme))?;
    let end = text
        .find(|c: char| c.is_whitespace() || "<>\"".contains(c))
        .unwrap_or(text.len());
    let mut address = &text[..end];
    // What ends the sentence doesn't belong to the address, nor does a bracket that was opened before it.
    loop {
        let unopened = |open: char, close: char| {
            address.ends_with(close)
                && address.matches(close).count() > address.matches(open).count()
        };
        let punctuated = address.ends_with(['.', ',', ';', ':', '!', '?', '\'']);
        if !punctuated && !unopened('(', ')') && !unopened('[', ']') {
            break;
        }
        address = &address[..address.len() - 1];
    }
    (address.len() > scheme.len()).then(|| (address.len(), Target::Link(Arc::from(address))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks what a span is in one line: `*bold*`, `/italic/`, `-struck-`, `code`, `[link]`, `{spoiler}`.
    fn written(text: &str) -> Vec<String> {
        let span = |span: &Span| {
            let mut said = span.text.clone();
            for (is, left, right) in [
                (span.style.strong, "*", "*"),
                (span.style.emphasis, "/", "/"),
                (span.style.strike, "-", "-"),
                (span.style.code, "`", "`"),
                (span.target.is_some(), "[", "]"),
                (span.spoiler.is_some(), "{", "}"),
            ] {
                if is {
                    said = format!("{left}{said}{right}");
                }
            }
            said
        };
        let block = |block: &Block| {
            let mut said: String = block.spans.iter().map(span).collect();
            if let Some(marker) = &block.marker {
                said = format!("{marker} {said}");
            }
            let before = "> ".repeat(block.quote.into()) + &"  ".repeat(block.indent.into());
            match block.kind {
                BlockKind::Text => before + &said,
                BlockKind::Heading(level) => format!("{before}h{level} {said}"),
                BlockKind::Code => format!("{before}code {said}"),
                BlockKind::Rule => format!("{before}rule"),
            }
        };
        parse(text).iter().map(block).collect()
    }

    #[test]
    fn styles_nest_and_lines_stay_lines() {
        assert_eq!(
            written("**bold _both_** ~~gone~~ `a*b*`\nsecond"),
            ["*bold */*both*/ -gone- `a*b*`\nsecond"]
        );
        assert_eq!(written("snake_case_name 2*3*4"), ["snake_case_name 2/3/4"]);
        assert_eq!(
            written("a <b>not</b> HTML & so"),
            ["a <b>not</b> HTML & so"]
        );
    }

    #[test]
    fn blocks_know_their_quotes_and_lists() {
        assert_eq!(
            written(
                "# Title\n> said\n> > deeper\n\n- one\n- two\n  1. inner\n\n```rust\nlet x = 1;\n\nx\n```\n***"
            ),
            [
                "h1 Title",
                "> said",
                "> > deeper",
                "  • one",
                "  • two",
                "    1. inner",
                "code let x = 1;\n\nx",
                "rule"
            ]
        );
        let deep = "> ".repeat(500) + "deep";
        assert_eq!(parse(&deep)[0].quote, MOST_DEEP);
    }

    #[test]
    fn addresses_end_where_the_sentence_does() {
        assert_eq!(
            written("See https://a.example/x_(y), (http://b.example). xhttp://no"),
            ["See [https://a.example/x_(y)], ([http://b.example]). xhttp://no"]
        );
        assert_eq!(
            written("[good](https://a.example) [bad](javascript:1)"),
            ["[good] bad"]
        );
        assert_eq!(written("![cat](https://a.example/cat.png)"), ["[cat]"]);
        assert_eq!(written("https:// alone"), ["https:// alone"]);
        assert_eq!(written("`https://a.example`"), ["`https://a.example`"]);
    }

    #[test]
    fn mentions_are_found_outside_code() {
        let spans = &parse("hi <@12>, <@&5> and @everyone, not me@everyones <@x> `<@1>`")[0].spans;
        let targets: Vec<_> = spans
            .iter()
            .filter_map(|span| span.target.clone())
            .collect();
        assert_eq!(
            targets,
            [
                Target::User(UserId(12)),
                Target::Role(RoleId(5)),
                Target::Everyone
            ]
        );
    }

    #[test]
    fn spoilers_come_in_pairs_across_styles() {
        assert_eq!(
            written("so ||he **dies** then|| and ||"),
            ["so {he }{*dies*}{ then} and ||"]
        );
        assert_eq!(written("a ||b|| c ||d||"), ["a {b} c {d}"]);
        let numbers: Vec<_> = parse("||b|| c ||d||")[0]
            .spans
            .iter()
            .map(|span| span.spoiler)
            .collect();
        assert_eq!(numbers, [Some(0), None, Some(1)]);
        assert_eq!(written("`a || b || c`"), ["`a || b || c`"]);
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for text in [
            "",
            "\n\n",
            "||",
            "||||",
            "<@",
            "<@>",
            "@",
            "h",
            "**",
            "```",
            "- ",
            "1. ",
            "> ",
            "é|| ü||ö",
            "<@99999999999999999999>",
        ] {
            let _ = written(text);
        }
    }
}
