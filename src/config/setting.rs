//! The shape of a configuration tree: sections made of documented fields.
//!
//! A section is declared once with [`section!`]; reading, environment, overrides, the example file and
//! `config show` are all derived from that declaration.

use super::node::Node;

/// What is known about one key beside its value.
#[derive(Debug, Clone, Copy)]
pub struct Meta {
    /// Key as written in the file.
    pub key: &'static str,
    /// Doc comment, one entry per line.
    pub docs: &'static [&'static str],
    /// Environment variables that set it; the first one set and not empty wins.
    pub env: &'static [&'static str],
    /// The key is accepted so that existing files load, but nothing reads it.
    pub inert: bool,
}

/// A value that fits on one line of the file.
pub trait Scalar {
    /// Takes the value from the file; the error says what is expected.
    ///
    /// # Errors
    /// What the value must be instead.
    fn set_node(&mut self, node: &Node) -> Result<(), String>;

    /// Takes the value from an environment variable or a flag.
    ///
    /// # Errors
    /// What the value must be instead.
    fn set_text(&mut self, text: &str) -> Result<(), String>;

    /// The value as YAML on one line; empty when unset. Secrets are not revealed.
    fn show(&self) -> String;

    /// The secrets in the value.
    fn secrets(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// One entry of a section.
pub enum Slot<'a> {
    /// A value.
    Leaf(&'a mut dyn Scalar),
    /// A nested section.
    Section(&'a mut dyn Section),
}

/// A group of keys.
pub trait Section {
    /// All fields in the order of the declaration.
    fn fields(&mut self) -> Vec<(Meta, Slot<'_>)>;
}

/// Something that can stand behind a key.
pub trait Field {
    /// The value or the nested section.
    fn slot(&mut self) -> Slot<'_>;
}

impl<T: Scalar> Field for T {
    fn slot(&mut self) -> Slot<'_> {
        Slot::Leaf(self)
    }
}

/// Declares a section: a struct with defaults, keys, environment names and doc comments in one place.
///
/// `name: Type = default, "key", env ["A", "B"];` and, for keys that are only tolerated, a closing `, inert;`.
macro_rules! section {
    (
        $(#[doc = $sdoc:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $fdoc:literal])*
                $field:ident : $ty:ty = $default:expr, $key:literal, env [$($env:literal),*] $(, $inert:ident)? ;
            )*
        }
    ) => {
        $(#[doc = $sdoc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $fdoc])* pub $field: $ty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::config::setting::Section for $name {
            fn fields(&mut self) -> Vec<($crate::config::setting::Meta, $crate::config::setting::Slot<'_>)> {
                vec![$(
                    (
                        $crate::config::setting::Meta {
                            key: $key,
                            docs: &[$($fdoc),*],
                            env: &[$($env),*],
                            inert: {
                                const WORDS: &[&str] = &[$(stringify!($inert))?];
                                !WORDS.is_empty()
                            },
                        },
                        $crate::config::setting::Field::slot(&mut self.$field),
                    ),
                )*]
            }
        }

        impl $crate::config::setting::Field for $name {
            fn slot(&mut self) -> $crate::config::setting::Slot<'_> {
                $crate::config::setting::Slot::Section(self)
            }
        }
    };
}
pub(crate) use section;
