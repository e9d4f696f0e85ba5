//! The built-in functions: name, argument types, and a sentence each.

use super::builtins::Shape::{
    Address, Any, Bool, Bytes, Double, Doubles, Duration, Int, Ints, List, Map, String, Strings,
    Timestamp,
};
use super::builtins::Style::{Both, Function, Method};
use super::builtins::{Builtin, Overload, Shape};
use super::functions as run;

const fn overload(params: &'static [Shape], output: Shape) -> Overload {
    Overload { params, output }
}

pub(super) static BUILTINS: &[Builtin] = &[
    // Amounts
    Builtin {
        name: "ether",
        doc: "An amount of ether in wei, exactly: ether(\"1.5\") is 1500000000000000000.",
        style: Function,
        overloads: &[overload(&[String], Int), overload(&[Int], Int)],
        run: run::ether,
    },
    Builtin {
        name: "gwei",
        doc: "An amount of gwei in wei, exactly.",
        style: Function,
        overloads: &[overload(&[String], Int), overload(&[Int], Int)],
        run: run::gwei,
    },
    Builtin {
        name: "units",
        doc: "An amount of a token with so many decimals, in its smallest unit: units(\"2.5\", 6).",
        style: Function,
        overloads: &[overload(&[String, Int], Int), overload(&[Int, Int], Int)],
        run: run::units,
    },
    Builtin {
        name: "formatUnits",
        doc: "The amount as people read it: formatUnits(2500000, 6) is \"2.5\".",
        style: Function,
        overloads: &[overload(&[Int, Int], String)],
        run: run::format_units,
    },
    Builtin {
        name: "formatEther",
        doc: "An amount in wei as ether: formatEther(ether(\"1.5\")) is \"1.5\".",
        style: Function,
        overloads: &[overload(&[Int], String)],
        run: run::format_ether,
    },
    // Numbers
    Builtin {
        name: "abs",
        doc: "The number without its sign.",
        style: Function,
        overloads: &[
            overload(&[Int], Int),
            overload(&[Double], Double),
            overload(&[Duration], Duration),
        ],
        run: run::abs,
    },
    Builtin {
        name: "min",
        doc: "The least of the arguments, or of a list's items.",
        style: Function,
        overloads: &[
            overload(&[Int, Int], Int),
            overload(&[Double, Double], Double),
            overload(&[Timestamp, Timestamp], Timestamp),
            overload(&[Duration, Duration], Duration),
            overload(&[Ints], Int),
            overload(&[Doubles], Double),
        ],
        run: run::min,
    },
    Builtin {
        name: "max",
        doc: "The greatest of the arguments, or of a list's items.",
        style: Function,
        overloads: &[
            overload(&[Int, Int], Int),
            overload(&[Double, Double], Double),
            overload(&[Timestamp, Timestamp], Timestamp),
            overload(&[Duration, Duration], Duration),
            overload(&[Ints], Int),
            overload(&[Doubles], Double),
        ],
        run: run::max,
    },
    Builtin {
        name: "sum",
        doc: "The sum of a list's items; of none, zero.",
        style: Both,
        overloads: &[overload(&[Ints], Int), overload(&[Doubles], Double)],
        run: run::sum,
    },
    Builtin {
        name: "pow",
        doc: "The first to the power of the second.",
        style: Function,
        overloads: &[overload(&[Int, Int], Int)],
        run: run::pow,
    },
    // Conversions
    Builtin {
        name: "int",
        doc: "A whole number: of a double without its fraction, of decimal or 0x text, of bytes \
              with the highest first, of a time or duration in seconds.",
        style: Function,
        overloads: &[
            overload(&[Int], Int),
            overload(&[Double], Int),
            overload(&[String], Int),
            overload(&[Bytes], Int),
            overload(&[Timestamp], Int),
            overload(&[Duration], Int),
        ],
        run: run::int,
    },
    Builtin {
        name: "uint",
        doc: "Like int, and an error below zero.",
        style: Function,
        overloads: &[
            overload(&[Int], Int),
            overload(&[Double], Int),
            overload(&[String], Int),
            overload(&[Bytes], Int),
        ],
        run: run::uint,
    },
    Builtin {
        name: "double",
        doc: "The nearest double.",
        style: Function,
        overloads: &[
            overload(&[Int], Double),
            overload(&[Double], Double),
            overload(&[String], Double),
        ],
        run: run::double,
    },
    Builtin {
        name: "string",
        doc: "The value as text; bytes are read as UTF-8, for hex there is hex().",
        style: Function,
        overloads: &[
            overload(&[String], String),
            overload(&[Int], String),
            overload(&[Double], String),
            overload(&[Bool], String),
            overload(&[Address], String),
            overload(&[Bytes], String),
            overload(&[Timestamp], String),
            overload(&[Duration], String),
        ],
        run: run::string,
    },
    Builtin {
        name: "bool",
        doc: "Text that says true or false.",
        style: Function,
        overloads: &[overload(&[Bool], Bool), overload(&[String], Bool)],
        run: run::bool,
    },
    Builtin {
        name: "bytes",
        doc: "Bytes: of text that begins with 0x by its hex digits, of other text its UTF-8.",
        style: Function,
        overloads: &[
            overload(&[String], Bytes),
            overload(&[Bytes], Bytes),
            overload(&[Address], Bytes),
        ],
        run: run::bytes,
    },
    Builtin {
        name: "address",
        doc: "An address: of 0x text, of a number, of 20 bytes or a 32-byte word such as a topic.",
        style: Function,
        overloads: &[
            overload(&[String], Address),
            overload(&[Address], Address),
            overload(&[Bytes], Address),
            overload(&[Int], Address),
        ],
        run: run::address,
    },
    Builtin {
        name: "timestamp",
        doc: "A time: of RFC 3339 text, or of seconds since 1970.",
        style: Function,
        overloads: &[
            overload(&[String], Timestamp),
            overload(&[Int], Timestamp),
            overload(&[Timestamp], Timestamp),
        ],
        run: run::timestamp,
    },
    Builtin {
        name: "duration",
        doc: "A span of time such as duration(\"1h30m\").",
        style: Function,
        overloads: &[overload(&[String], Duration), overload(&[Duration], Duration)],
        run: run::duration,
    },
    Builtin {
        name: "hex",
        doc: "Lower-case hex with 0x.",
        style: Both,
        overloads: &[
            overload(&[Bytes], String),
            overload(&[Int], String),
            overload(&[Address], String),
        ],
        run: run::hex,
    },
    Builtin {
        name: "dyn",
        doc: "The value with its type unknown: what is done with it is checked at run time.",
        style: Function,
        overloads: &[overload(&[Any], Any)],
        run: run::same,
    },
    // Text, bytes and lists
    Builtin {
        name: "size",
        doc: "Characters of text, bytes, items of a list, entries of a map.",
        style: Both,
        overloads: &[
            overload(&[String], Int),
            overload(&[Bytes], Int),
            overload(&[List], Int),
            overload(&[Map], Int),
        ],
        run: run::size,
    },
    Builtin {
        name: "contains",
        doc: "Whether the second is a part of the first.",
        style: Method,
        overloads: &[overload(&[String, String], Bool), overload(&[Bytes, Bytes], Bool)],
        run: run::contains,
    },
    Builtin {
        name: "startsWith",
        doc: "Whether the first begins with the second.",
        style: Method,
        overloads: &[overload(&[String, String], Bool), overload(&[Bytes, Bytes], Bool)],
        run: run::starts_with,
    },
    Builtin {
        name: "endsWith",
        doc: "Whether the first ends with the second.",
        style: Method,
        overloads: &[overload(&[String, String], Bool), overload(&[Bytes, Bytes], Bool)],
        run: run::ends_with,
    },
    Builtin {
        name: "matches",
        doc: "Whether the pattern (a regular expression, written as a literal) is found in the text.",
        style: Both,
        overloads: &[overload(&[String, String], Bool)],
        // The checker turns it into a compiled pattern; only a misuse could get here.
        run: run::unreached,
    },
    Builtin {
        name: "lowerAscii",
        doc: "The text with A-Z as a-z.",
        style: Method,
        overloads: &[overload(&[String], String)],
        run: run::lower_ascii,
    },
    Builtin {
        name: "upperAscii",
        doc: "The text with a-z as A-Z.",
        style: Method,
        overloads: &[overload(&[String], String)],
        run: run::upper_ascii,
    },
    Builtin {
        name: "trim",
        doc: "The text without blanks at its ends.",
        style: Method,
        overloads: &[overload(&[String], String)],
        run: run::trim,
    },
    Builtin {
        name: "replace",
        doc: "The text with each occurrence of the second replaced by the third.",
        style: Method,
        overloads: &[overload(&[String, String, String], String)],
        run: run::replace,
    },
    Builtin {
        name: "split",
        doc: "The parts between the separators.",
        style: Method,
        overloads: &[overload(&[String, String], Strings)],
        run: run::split,
    },
    Builtin {
        name: "join",
        doc: "The items one after the other, with the separator between.",
        style: Method,
        overloads: &[overload(&[Strings], String), overload(&[Strings, String], String)],
        run: run::join,
    },
    Builtin {
        name: "indexOf",
        doc: "Where the second begins in the first, in characters; -1 when it does not.",
        style: Method,
        overloads: &[overload(&[String, String], Int)],
        run: run::index_of,
    },
    Builtin {
        name: "substring",
        doc: "The characters from the second argument on, up to but without the third.",
        style: Method,
        overloads: &[overload(&[String, Int], String), overload(&[String, Int, Int], String)],
        run: run::substring,
    },
    Builtin {
        name: "slice",
        doc: "The bytes or items from the second argument on, up to but without the third.",
        style: Method,
        overloads: &[
            overload(&[Bytes, Int], Bytes),
            overload(&[Bytes, Int, Int], Bytes),
            overload(&[List, Int], List),
            overload(&[List, Int, Int], List),
        ],
        run: run::slice,
    },
    // Ethereum
    Builtin {
        name: "keccak256",
        doc: "The Keccak-256 hash of bytes, or of text in UTF-8.",
        style: Function,
        overloads: &[overload(&[Bytes], Bytes), overload(&[String], Bytes)],
        run: run::keccak256,
    },
    Builtin {
        name: "selector",
        doc: "The four bytes that call a function: selector(\"transfer(address,uint256)\").",
        style: Function,
        overloads: &[overload(&[String], Bytes)],
        run: run::selector,
    },
    // Times
    Builtin {
        name: "getFullYear",
        doc: "The year, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::full_year,
    },
    Builtin {
        name: "getMonth",
        doc: "The month, 0 for January, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::month,
    },
    Builtin {
        name: "getDate",
        doc: "The day of the month, from 1, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::date,
    },
    Builtin {
        name: "getDayOfMonth",
        doc: "The day of the month, from 0, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::day_of_month,
    },
    Builtin {
        name: "getDayOfWeek",
        doc: "The day of the week, 0 for Sunday, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::day_of_week,
    },
    Builtin {
        name: "getDayOfYear",
        doc: "The day of the year, from 0, in UTC or at an offset such as \"+08:00\".",
        style: Method,
        overloads: &[overload(&[Timestamp], Int), overload(&[Timestamp, String], Int)],
        run: run::day_of_year,
    },
    Builtin {
        name: "getHours",
        doc: "The hour of the day, in UTC or at an offset such as \"+08:00\"; of a duration, its \
              whole hours.",
        style: Method,
        overloads: &[
            overload(&[Timestamp], Int),
            overload(&[Timestamp, String], Int),
            overload(&[Duration], Int),
        ],
        run: run::hours,
    },
    Builtin {
        name: "getMinutes",
        doc: "The minute of the hour; of a duration, its whole minutes.",
        style: Method,
        overloads: &[
            overload(&[Timestamp], Int),
            overload(&[Timestamp, String], Int),
            overload(&[Duration], Int),
        ],
        run: run::minutes,
    },
    Builtin {
        name: "getSeconds",
        doc: "The second of the minute; of a duration, its whole seconds.",
        style: Method,
        overloads: &[
            overload(&[Timestamp], Int),
            overload(&[Timestamp, String], Int),
            overload(&[Duration], Int),
        ],
        run: run::seconds,
    },
    Builtin {
        name: "getMilliseconds",
        doc: "The millisecond of the second; of a duration, all its milliseconds.",
        style: Method,
        overloads: &[
            overload(&[Timestamp], Int),
            overload(&[Timestamp, String], Int),
            overload(&[Duration], Int),
        ],
        run: run::milliseconds,
    },
    // Null
    Builtin {
        name: "orValue",
        doc: "The first, or the second when the first is null.",
        style: Method,
        overloads: &[overload(&[Any, Any], Any)],
        // The checker gives it a form of its own, so that the second is only had when needed.
        run: run::unreached,
    },
];
