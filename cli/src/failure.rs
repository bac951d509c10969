//! How a command fails: a message for the person and an exit code for the script.

use std::fmt::Display;
use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::process::ExitCode;

use offshoot_adapters as adapters;
use offshoot_export as export;
use offshoot_models as models;

/// The result of a command.
pub(crate) type Result<T = (), E = Failure> = std::result::Result<T, E>;

/// Exit codes; the table in `main.rs` is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// The work failed.
    Failed = 1,
    /// The command line cannot be used.
    Usage = 2,
    /// The input data are broken or unfit.
    Data = 3,
    /// A bundle, head or learner is damaged, or does not belong to the other.
    Artifact = 4,
    /// A file, the disk, the network or ONNX Runtime is not there.
    Surroundings = 5,
    /// A bug (`EX_SOFTWARE` of sysexits.h).
    Bug = 70,
    /// Interrupted by a signal (128 + SIGINT).
    Interrupted = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With this message and code.
    Said {
        /// Says what was wrong, where, and what to do.
        message: String,
        /// The exit code.
        code: Code,
    },
    /// Whoever read standard output has enough: not an error.
    OutputClosed,
}

impl Failure {
    /// A failure with a message and a code.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Said { message: message.into(), code }
    }

    /// The command line cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// The input data are broken or unfit.
    pub(crate) fn data(message: impl Into<String>) -> Self {
        Self::new(Code::Data, message)
    }

    /// An interrupt, with what was kept and how to go on.
    pub(crate) fn interrupted(message: impl Into<String>) -> Self {
        Self::new(Code::Interrupted, message)
    }

    /// A file could not be used; `action` is `read`, `write` …
    pub(crate) fn io(action: &str, path: &Path, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free some space and run the same command again"
            }
            io::ErrorKind::NotFound => "; check the path",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "; choose another place, or change its permissions"
            }
            _ => "",
        };
        let message = format!("cannot {action} {}: {error}{hint}", path.display());
        Self::new(Code::Surroundings, message)
    }

    /// Standard output could not be written.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::io("write", Path::new("standard output"), error),
        }
    }

    /// Adds what to do to the message.
    #[must_use]
    pub(crate) fn advise(self, advice: impl Display) -> Self {
        match self {
            Self::Said { message, code } => Self::new(code, format!("{message}; {advice}")),
            Self::OutputClosed => Self::OutputClosed,
        }
    }

    /// Prints the message and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Said { message, code } => {
                let label = if code == Code::Interrupted { "interrupted" } else { "error" };
                // There is nobody left to tell when standard error is closed.
                let _ = writeln!(io::stderr(), "{label}: {message}");
                code.into()
            }
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

/// The panic hook: a bug is reported shortly, with the place that a developer needs.
pub(crate) fn report_bug(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let what = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
    let _ = writeln!(
        io::stderr(),
        "error: this is a bug in offshoot{place}: {what}; please report it with the command that \
         you ran (set RUST_BACKTRACE=1 for a trace)"
    );
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
        let _ = writeln!(io::stderr(), "{}", std::backtrace::Backtrace::force_capture());
    }
}

impl From<offshoot::Error> for Failure {
    fn from(error: offshoot::Error) -> Self {
        use offshoot::Error as E;
        if let E::Io { action, path, source } = &error {
            return Self::io(action, path, source);
        }
        let code = match error {
            E::Head(error) => return error.into(),
            E::Bundle { .. }
            | E::Manifest { .. }
            | E::Digest { .. }
            | E::Changed { .. }
            | E::Tokenizer { .. }
            | E::Store { .. }
            | E::NewerStore { .. }
            | E::Adapter { .. }
            | E::OtherEncoder { .. } => Code::Artifact,
            E::Library(_) | E::NoCacheDir | E::Busy { .. } | E::NotErased { .. } => {
                Code::Surroundings
            }
            E::TooLong { .. }
            | E::Sums { .. }
            | E::Example { .. }
            | E::NoExample { .. }
            | E::Weights { .. } => Code::Data,
            E::Argument(_) => Code::Usage,
            _ => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}

impl From<adapters::Error> for Failure {
    fn from(error: adapters::Error) -> Self {
        use adapters::Error as E;
        if let E::Io { action, path, source } = &error {
            return Self::io(action, path, source);
        }
        let code = match &error {
            E::BadFile { .. }
            | E::BadStatistics { .. }
            | E::BadReference { .. }
            | E::OtherGrid { .. }
            | E::NewerFile { .. }
            | E::OtherEncoder { .. }
            | E::OtherDimensions { .. }
            | E::Width { .. } => Code::Artifact,
            E::UnknownHead { .. } | E::Setting { .. } => Code::Usage,
            E::NotConverged { .. } => Code::Failed,
            _ => Code::Data,
        };
        Self::new(code, error.to_string())
    }
}

impl From<models::Error> for Failure {
    fn from(error: models::Error) -> Self {
        use models::Error as E;
        let code = match error {
            E::Runtime(error) => return error.into(),
            E::Io { action, path, source } => return Self::io(action, &path, &source),
            E::Record { .. } | E::Table { .. } | E::Example { .. } => Code::Data,
            E::Argument(_) => Code::Usage,
            E::Tune(_) | E::Pretrain(_) => Code::Data,
            E::Export(error) => return error.into(),
            E::Interrupted => Code::Interrupted,
            _ => Code::Surroundings,
        };
        Self::new(code, error.to_string())
    }
}

impl From<export::Error> for Failure {
    fn from(error: export::Error) -> Self {
        use export::Error as E;
        let code = match error {
            E::Runtime(error) => return error.into(),
            E::Io { action, path, source } => return Self::io(action, &path, &source),
            E::Interrupted => Code::Interrupted,
            E::Operator { .. } | E::Parity { .. } => Code::Failed,
            E::Head(_) => Code::Artifact,
            _ => Code::Data,
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_quiet_and_a_full_disk_says_what_to_do() {
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(matches!(Failure::stdout(&closed), Failure::OutputClosed));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let Failure::Said { message, code } = Failure::io("write", Path::new("x.npy"), &full)
        else {
            panic!("expected a message")
        };
        assert_eq!(code, Code::Surroundings);
        assert!(message.starts_with("cannot write x.npy: ") && message.contains("free some space"));
    }

    #[test]
    fn errors_of_the_crates_have_the_documented_codes() {
        let code = |failure: Failure| match failure {
            Failure::Said { code, .. } => code,
            Failure::OutputClosed => panic!("expected a message"),
        };
        let manifest = offshoot::Error::Manifest { reason: "x".into() };
        assert_eq!(code(export::Error::Runtime(manifest).into()), Code::Artifact);
        assert_eq!(
            code(models::Error::Runtime(offshoot::Error::NoCacheDir).into()),
            Code::Surroundings
        );
        assert_eq!(code(offshoot::Error::Argument("x".into()).into()), Code::Usage);
        assert_eq!(code(adapters::Error::NoExamples.into()), Code::Data);
        assert_eq!(code(export::Error::Interrupted.into()), Code::Interrupted);
    }
}
