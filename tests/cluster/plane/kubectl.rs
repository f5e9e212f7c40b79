//! kubectl, as an operator uses it.

use crate::plane::Plane;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

impl Plane {
    /// Runs kubectl with all rights; a `--kubeconfig` among the arguments takes precedence. Its
    /// caches and settings are the plane's own, because free ports come round again.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.kubectl_command(arguments).output().expect("kubectl runs")
    }

    /// Applies manifests, which has to succeed, and returns what kubectl says.
    pub(crate) fn apply(&self, yaml: &str) -> String {
        self.kubectl_fed(&["apply", "-f", "-"], yaml)
    }

    /// Runs kubectl with a standard input, which has to succeed, and returns what it says.
    pub(crate) fn kubectl_fed(&self, arguments: &[&str], input: &str) -> String {
        let output = self.kubectl_given(arguments, input);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "kubectl {arguments:?}: {err}{out}\n{input}");
        out.into_owned()
    }

    /// The same, whatever comes of it.
    pub(crate) fn kubectl_given(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.kubectl_command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        let mut stdin = child.stdin.take().expect("piped");
        // It may have ended for another reason, which it tells.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("kubectl runs")
    }

    /// Runs commands of a page in a folder, as its reader does; all have to succeed.
    pub(crate) fn shell(&self, folder: &Path, script: &str) -> String {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = std::iter::once(self.programs.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(programs).expect("paths of a PATH");
        let output = Command::new("bash")
            .args(["-e", "-o", "pipefail", "-c", script])
            .current_dir(folder)
            .env("PATH", path)
            .env("KUBECONFIG", self.admin_kubeconfig())
            .env("HOME", &self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(output.status.success(), "{script}\n{err}{out}");
        out.into_owned()
    }

    /// The folder of kubectl and the servers.
    pub(crate) fn programs(&self) -> &Path {
        &self.programs
    }

    fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join("kubectl"));
        let flag = |name: &str, path: &Path| format!("--{name}={}", path.display());
        command
            .arg(flag("kubeconfig", &self.admin_kubeconfig()))
            .arg(flag("cache-dir", &self.folder.join("kubectl-cache")))
            .args(arguments)
            .env("HOME", &self.folder)
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null());
        command
    }
}
