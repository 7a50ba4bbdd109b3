//! The documents that pages' authors read, and the examples in them.

/// Where examples for pages stand.
pub const DOCUMENTS: [&str; 19] = [
    "web/js/index.d.ts",
    "web/js/irc.d.ts",
    "web/js/mqtt.d.ts",
    "web/js/mqtt-websocket.d.ts",
    "web/js/coap.d.ts",
    "web/js/imap.d.ts",
    "web/js/smtp.d.ts",
    "web/js/mail.d.ts",
    "web/js/socket.d.ts",
    "web/js/sockets.d.ts",
    "web/js/direct-sockets.d.ts",
    "web/js/explain.d.ts",
    "web/js/policy.d.ts",
    "web/npm/README.md",
    "README.md",
    "docs/direct-sockets.md",
    "docs/guide.md",
    "docs/policy.md",
    "docs/sockets.md",
];

/// The blocks of JavaScript and TypeScript in a text, and in the comments of a source.
pub fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start().trim_start_matches("* ");
        match &mut block {
            None if matches!(line, "```js" | "```ts") => block = Some(String::new()),
            None => {}
            Some(_) if line == "```" => blocks.extend(block.take()),
            Some(block) => {
                block.push_str(line.trim_start_matches('*'));
                block.push('\n');
            }
        }
    }
    blocks
}
