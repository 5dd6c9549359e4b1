//! What the text of a message looks like: its URLs, characters made to deceive, the registered template that
//! it follows, and what it would cost without stray characters. Nothing here keeps a text.

pub mod code;
pub mod gsm;
pub mod look_alike;
pub mod template;
pub mod urls;
pub mod words;
