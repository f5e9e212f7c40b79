//! What is in the file: a line of JSON that says what it is, a line for each object, and a line with
//! the SHA-256 of all before it.
//!
//! The digest is in the last line, so that the file is written in one pass and a file that was cut
//! off has none. It shows accidents, not forgers: those would have to be its owner, see `file`.

use crate::control::objects::{Object, Objects, TRAEFIK_KINDS, TraefikObject, leave_out_content};
use crate::control::utc::Utc;
use crate::control::watch::Scope;
use crate::model::Kind;
use aws_lc_rs::digest::{self, Context};
use k8s_openapi::api::{core::v1 as core, discovery::v1 as discovery, networking::v1 as net};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

/// The format. In files of the first one objects lack the annotations of other controllers, so that what
/// they restrict would be served open.
pub const FORMAT: u32 = 2;

/// Largest file, in bytes: 100 000 Ingresses with Services and slices of 5 KiB together.
pub const MOST_BYTES: u64 = 512 * 1024 * 1024;

/// Longest line, in bytes: etcd takes objects of 1.5 MiB, and JSON escapes some characters by six.
const MOST_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes read and written at a time.
const BUFFER: usize = 64 * 1024;

/// The first field of the first line.
const MAGIC: &str = "last-good state of a cluster";

/// The last line, around the digest.
const TRAILER: [&str; 2] = ["{\"sha256\":\"", "\"}\n"];
const TRAILER_BYTES: u64 =
    (TRAILER[0].len() + 2 * digest::SHA256_OUTPUT_LEN + TRAILER[1].len()) as u64;

/// Why a file is not used. No part of its content is in the words.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The file system.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A directory, a pipe, a link.
    #[error("it is not a regular file")]
    NotAFile,
    /// Somebody else wrote it.
    #[error("it belongs to user {theirs}, and this process runs as user {ours}")]
    Owner {
        /// The owner of the file.
        theirs: u32,
        /// The user of the process.
        ours: u32,
    },
    /// Somebody else may have written it.
    #[error("users other than its owner may write to it (mode {0:03o})")]
    Writable(u32),
    /// More than [`MOST_BYTES`].
    #[error("it has more than {MOST_BYTES} bytes")]
    TooLarge,
    /// Its first line is not what [`write()`] writes.
    #[error("it is not a last-good state")]
    Foreign,
    /// Written by another version.
    #[error("its format is {0}; this version reads {FORMAT}")]
    Format(u32),
    /// Its end is not the digest of what is before it.
    #[error("it is truncated or altered: its checksum does not match")]
    Checksum,
    /// The line is not an object of a kind that is kept. Counted from 1.
    #[error("its line {0} cannot be read")]
    Line(usize),
    /// It was kept under a configuration that follows less.
    #[error("it has no {0}, which the configuration follows")]
    Scope(String),
}

/// The header of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFileHeader {
    /// When it was written, in seconds since the Unix epoch.
    pub written: u64,
    /// When the API server last confirmed everything in it; likewise.
    pub confirmed: u64,
    /// Whether the content of Secrets is in it.
    pub certificates: bool,
    /// Kinds that were listed completely.
    pub scopes: Vec<Scope>,
}

#[derive(Serialize, Deserialize)]
struct HeaderText {
    ravelin: String,
    format: u32,
    written: Utc,
    confirmed: Utc,
    certificates: bool,
    scopes: Vec<ScopeText>,
}

/// What every format has had.
#[derive(Deserialize)]
struct Magic {
    ravelin: String,
    format: u32,
}

#[derive(Serialize, Deserialize)]
struct ScopeText {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Deserialize)]
struct Peek {
    kind: String,
}

/// Writes a whole file. Of Secrets the content is left out, unless the header says that it is there.
///
/// # Errors
/// What `out` says, or that there are more than [`MOST_BYTES`].
pub fn write(out: impl Write, header: &StateFileHeader, objects: &Objects) -> io::Result<()> {
    let digesting = Digesting { out, context: Context::new(&digest::SHA256), bytes: 0 };
    let mut out = BufWriter::with_capacity(BUFFER, digesting);
    line(&mut out, &text_of(header))?;
    objects.ingresses().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    objects.classes().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    objects.services().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    objects.slices().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    for (kind, _) in TRAEFIK_KINDS {
        objects.traefik(kind).iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    }
    objects.nodes().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    objects.config_maps().iter().try_for_each(|(.., object)| line(&mut out, &**object))?;
    objects.secrets().iter().try_for_each(|(.., secret)| {
        // A Secret without references has no content in memory either.
        if header.certificates && secret.data.is_some() {
            line(&mut out, &**secret)
        } else {
            line(&mut out, &leave_out_content(secret))
        }
    })?;
    let Digesting { mut out, context, .. } =
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.write_all(trailer(context).as_bytes())
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn text_of(header: &StateFileHeader) -> HeaderText {
    let scopes = header.scopes.iter().map(|scope| ScopeText {
        kind: scope.kind.as_str().to_owned(),
        namespace: scope.namespace.clone(),
        name: scope.name.clone(),
    });
    HeaderText {
        ravelin: MAGIC.to_owned(),
        format: FORMAT,
        written: Utc(header.written),
        confirmed: Utc(header.confirmed),
        certificates: header.certificates,
        scopes: scopes.collect(),
    }
}

fn trailer(context: Context) -> String {
    let mut text = TRAILER[0].to_owned();
    for byte in context.finish().as_ref() {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.push_str(TRAILER[1]);
    text
}

/// Reads a whole file, twice: except for its type, nothing in it is parsed before the digest matches.
///
/// # Errors
/// Why it is not used.
pub fn read(mut file: impl Read + Seek) -> Result<(StateFileHeader, Vec<Object>), StateFileError> {
    let length = file.seek(SeekFrom::End(0))?;
    if length > MOST_BYTES {
        return Err(StateFileError::TooLarge);
    }
    file.rewind()?;
    let mut lines = BufReader::with_capacity(BUFFER, &mut file);
    header(&next(&mut lines)?.ok_or(StateFileError::Foreign)?)?;
    let content = length.checked_sub(TRAILER_BYTES).ok_or(StateFileError::Checksum)?;
    file.rewind()?;
    verify(&mut file, content)?;
    file.rewind()?;
    read_lines(BufReader::with_capacity(BUFFER, file.take(content)))
}

fn verify(file: &mut impl Read, content: u64) -> Result<(), StateFileError> {
    let mut context = Context::new(&digest::SHA256);
    let mut left = content;
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let read = file.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(StateFileError::Checksum);
        }
        context.update(&buffer[..read]);
        left -= read as u64;
    }
    let mut end = Vec::new();
    file.take(TRAILER_BYTES + 1).read_to_end(&mut end)?;
    if end == trailer(context).as_bytes() { Ok(()) } else { Err(StateFileError::Checksum) }
}

/// Reads everything but the last line: the header, and the objects.
///
/// # Errors
/// Why it is not used. Never [`StateFileError::Checksum`].
pub fn read_lines(
    mut lines: impl BufRead,
) -> Result<(StateFileHeader, Vec<Object>), StateFileError> {
    let header = header(&next(&mut lines)?.ok_or(StateFileError::Foreign)?)?;
    let mut objects = Vec::new();
    for number in 2.. {
        let Some(line) = next(&mut lines)? else { break };
        objects.push(object(&line).ok_or(StateFileError::Line(number))?);
    }
    Ok((header, objects))
}

/// The next line without its break. A last one that has none is no line, so that it is no object.
fn next(lines: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    lines.take(MOST_LINE_BYTES).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        line.clear();
    }
    Ok(Some(line))
}

fn header(line: &[u8]) -> Result<StateFileHeader, StateFileError> {
    let Magic { ravelin, format } =
        serde_json::from_slice(line).map_err(|_| StateFileError::Foreign)?;
    if ravelin != MAGIC {
        return Err(StateFileError::Foreign);
    }
    if format != FORMAT {
        return Err(StateFileError::Format(format));
    }
    let text: HeaderText = serde_json::from_slice(line).map_err(|_| StateFileError::Line(1))?;
    let scopes = text.scopes.into_iter().map(|ScopeText { kind, namespace, name }| {
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(Scope { kind, namespace, name })
    });
    Ok(StateFileHeader {
        written: text.written.0,
        confirmed: text.confirmed.0,
        certificates: text.certificates,
        scopes: scopes.collect::<Option<_>>().ok_or(StateFileError::Line(1))?,
    })
}

fn object(line: &[u8]) -> Option<Object> {
    let Peek { kind } = serde_json::from_slice(line).ok()?;
    match Kind::ALL.into_iter().find(|known| known.as_str() == kind)? {
        Kind::Ingress => typed::<net::Ingress>(line),
        Kind::IngressClass => typed::<net::IngressClass>(line),
        Kind::Service => typed::<core::Service>(line),
        Kind::EndpointSlice => typed::<discovery::EndpointSlice>(line),
        Kind::Secret => typed::<core::Secret>(line),
        Kind::Node => typed::<core::Node>(line),
        Kind::ConfigMap => typed::<core::ConfigMap>(line),
        Kind::File | Kind::Cluster => None,
        _ => typed::<TraefikObject>(line),
    }
}

fn typed<K: DeserializeOwned + Into<Object>>(line: &[u8]) -> Option<Object> {
    let object: Object = serde_json::from_slice::<K>(line).ok()?.into();
    object.metadata().name.as_deref().is_some_and(|name| !name.is_empty()).then_some(object)
}

/// Digests what passes, and lets no more pass than may be read again.
struct Digesting<W> {
    out: W,
    context: Context,
    bytes: u64,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.context.update(&bytes[..written]);
        self.bytes += written as u64;
        if self.bytes > MOST_BYTES - TRAILER_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                StateFileError::TooLarge.to_string(),
            ));
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
