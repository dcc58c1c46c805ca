//! Enums whose variants are fixed words: in the file, on the command line and
//! in JSON. Each word stands once, in the row of its variant.

/// A word that is none of the fixed ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is no {what}; known: {known}")]
pub struct UnknownWord {
    pub word: String,
    pub what: &'static str,
    pub known: String,
}

/// Gives an enum with `ALL` and `as_str` its reading and its writing.
macro_rules! fixed_words {
    ($type:ty, $what:literal) => {
        impl std::str::FromStr for $type {
            type Err = $crate::key::words::UnknownWord;
            fn from_str(text: &str) -> Result<Self, $crate::key::words::UnknownWord> {
                <$type>::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
                    $crate::key::words::UnknownWord {
                        word: $crate::key::text::printable(text, 60),
                        what: $what,
                        known: <$type>::ALL.map(<$type>::as_str).join(", "),
                    }
                })
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use fixed_words;

/// Makes an enum of `Variant = "word"` rows; the name behind it is what such a
/// word is called in an error.
macro_rules! words {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident($what:literal) {
            $($(#[$of_variant:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $visibility enum $name {
            $($(#[$of_variant])* $variant,)+
        }

        impl $name {
            $visibility const ALL: [Self; [$($word),+].len()] = [$(Self::$variant),+];

            $visibility fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        $crate::key::words::fixed_words!($name, $what);
    };
}
pub(crate) use words;
