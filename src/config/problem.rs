//! What is wrong with a configuration, said so that it can be put right.

use std::fmt;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file; line 0 when unknown.
    File {
        /// File name.
        name: String,
        /// Line, 1-based.
        line: u64,
    },
    /// An environment variable.
    Env(String),
    /// A command line flag.
    Flag(String),
    /// The settings taken together.
    Whole,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: 0 } => write!(f, "{name}"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "{name}"),
            Self::Whole => f.write_str("configuration"),
        }
    }
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub source: Source,
    /// Key path; empty when it concerns the file as a whole.
    pub key: String,
    /// What is wrong. Never contains the value: it may be a secret.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// The key does not exist.
    pub(crate) unknown: bool,
}

impl Problem {
    /// A complaint found by looking at several settings together.
    pub(crate) fn whole(key: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            source: Source::Whole,
            key: key.to_owned(),
            message: message.into(),
            hint: Some(hint.into()),
            unknown: false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All complaints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
