//! What a directory goes on serving, and what it says.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

struct Fixture {
    root: TempDir,
    directory: Directory,
}

impl Fixture {
    fn new() -> Self {
        let root = TempDir::new().expect("temporary directory");
        let directory = Directory::new([root.path().to_owned()]);
        Self { root, directory }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join(file)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("a file is in a directory")).expect("directory");
        fs::write(path, text).expect("written");
    }

    /// The names of the Services after a scan that has to report a change.
    fn rescan(&mut self) -> Vec<String> {
        assert!(self.directory.scan(), "something has changed");
        self.services()
    }

    fn services(&self) -> Vec<String> {
        let objects = self.directory.objects();
        objects.services().iter().map(|(_, name, _)| name.to_string()).collect()
    }

    /// The findings, with the temporary directory left out.
    fn findings(&self) -> Vec<String> {
        let root = format!("{}/", self.root.path().display());
        self.directory.findings().iter().map(|f| f.to_string().replace(&root, "")).collect()
    }
}

fn mk_service(name: &str, port: u32) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: {port}}}]}}}}\n"
    )
}

const KEPT: &str = "; the last good version of the file is still served";

#[test]
fn files_are_found_recursively_by_extension_and_a_second_scan_reports_no_change() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.write("sub/deep/b.yml", &mk_service("b", 1));
    fixture.write(
        "c.json",
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"c\"}}",
    );
    fixture.write("README.md", "not a manifest: [");
    fixture.write(".hidden/d.yaml", &mk_service("d", 1));
    fixture.write(".e.yaml", &mk_service("e", 1));
    assert_eq!(fixture.rescan(), ["a", "b", "c"]);
    assert_eq!(fixture.findings(), [""; 0]);
    assert!(!fixture.directory.scan());
}

#[test]
fn a_change_within_one_tick_of_the_clock_is_seen() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.rescan();
    let modified = fs::metadata(fixture.path("a.yaml")).and_then(|m| m.modified()).expect("time");
    fixture.write("a.yaml", &mk_service("b", 1));
    let file = File::options().write(true).open(fixture.path("a.yaml")).expect("opened");
    file.set_modified(modified).expect("same length, same inode, same time");
    assert_eq!(fixture.rescan(), ["b"]);
}

#[test]
fn a_file_that_becomes_invalid_keeps_what_it_served_and_is_reported() {
    let mut fixture = Fixture::new();
    let good = format!("{}---\n{}", mk_service("a", 1), mk_service("b", 1));
    fixture.write("a.yaml", &good);
    fixture.rescan();
    fixture.write("a.yaml", &good.replace("port: 1", "port: 0").replace("name: b", "name: c"));
    assert_eq!(fixture.rescan(), ["a", "b"], "invalid by value");
    let expected = ["a", "c"].map(|name| {
        format!(
            "error: Service default/{name}: spec.ports[0].port: 0 is not a port number{KEPT} \
             (fix: use a number from 1 to 65535)"
        )
    });
    assert_eq!(fixture.findings(), expected);
    fixture.write("a.yaml", &good.replace("---", "}"));
    assert_eq!(fixture.rescan(), ["a", "b"], "invalid by syntax");
    assert!(fixture.findings()[0].contains("File a.yaml: is not valid YAML at line 2, column 1"));
    assert!(fixture.findings()[0].contains(KEPT));
    fixture.write("a.yaml", &mk_service("d", 1));
    assert_eq!(fixture.rescan(), ["d"]);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn on_first_sight_the_good_objects_of_a_broken_file_are_used() {
    let mut fixture = Fixture::new();
    fixture
        .write("a.yaml", &format!("{}---\na: [1\n---\n{}", mk_service("a", 1), mk_service("b", 1)));
    assert_eq!(fixture.rescan(), ["a", "b"]);
    assert_eq!(fixture.findings().len(), 1);
    assert!(!fixture.findings()[0].contains(KEPT));
    fixture.write("a.yaml", &format!("{}---\na: [1\n", mk_service("c", 1)));
    assert_eq!(fixture.rescan(), ["c"], "it was never good, so there is no good version to keep");
}

#[test]
fn a_warning_does_not_hold_a_file_back() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.rescan();
    fixture.write("a.yaml", &mk_service("b", 1).replace("spec:", "spce: 1, spec:"));
    assert_eq!(fixture.rescan(), ["b"]);
    assert_eq!(fixture.findings().len(), 1);
}

#[test]
fn an_empty_file_keeps_what_it_served_and_comments_alone_do_not() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.write("b.yaml", "");
    fixture.rescan();
    fixture.write("a.yaml", "");
    assert_eq!(fixture.rescan(), ["a"]);
    let line = format!(
        "error: File a.yaml: has become empty{KEPT} (fix: remove the file to remove its objects)"
    );
    assert_eq!(fixture.findings(), [line]);
    fixture.write("a.yaml", "# nothing any more\n");
    assert_eq!(fixture.rescan(), [""; 0]);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn a_deleted_file_takes_its_objects_with_it() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.write("sub/b.yaml", &mk_service("b", 1));
    fixture.rescan();
    fs::remove_file(fixture.path("a.yaml")).expect("removed");
    assert_eq!(fixture.rescan(), ["b"]);
    fs::remove_dir_all(fixture.path("sub")).expect("removed");
    assert_eq!(fixture.rescan(), [""; 0]);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn a_directory_that_cannot_be_read_keeps_everything_and_is_reported() {
    let mut fixture = Fixture::new();
    fixture.write("conf/a.yaml", &mk_service("a", 1));
    fixture.directory = Directory::new([fixture.path("conf")]);
    fixture.rescan();
    fs::rename(fixture.path("conf"), fixture.path("away")).expect("moved");
    assert_eq!(fixture.rescan(), ["a"]);
    assert_eq!(fixture.findings().len(), 1);
    assert!(fixture.findings()[0].starts_with("error: File conf: No such file"));
    assert!(!fixture.directory.scan(), "nothing new");
    fs::rename(fixture.path("away"), fixture.path("conf")).expect("moved back");
    assert_eq!(fixture.rescan(), ["a"]);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn the_first_of_two_files_with_the_same_object_wins() {
    let mut fixture = Fixture::new();
    fixture.write("b.yaml", &mk_service("s", 2));
    fixture.write("a.yaml", &mk_service("s", 1));
    fixture.rescan();
    let port = |fixture: &Fixture| {
        let objects = fixture.directory.objects();
        let service = objects.services().get("default", "s").expect("it is there");
        service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).map(|ports| ports[0].port)
    };
    assert_eq!(port(&fixture), Some(1));
    assert_eq!(
        fixture.findings(),
        ["warning: Service default/s: is in a.yaml and in b.yaml; the first is used \
          (fix: remove one of the two)"]
    );
    fs::remove_file(fixture.path("a.yaml")).expect("removed");
    assert!(fixture.directory.scan());
    assert_eq!((port(&fixture), fixture.findings().len()), (Some(2), 0));
}

#[test]
fn a_config_map_mount_is_followed_through_its_links() {
    let mut fixture = Fixture::new();
    fixture.write("..2024_1/a.yaml", &mk_service("a", 1));
    fixture.write("..2024_2/a.yaml", &mk_service("b", 1));
    symlink("..2024_1", fixture.path("..data")).expect("link");
    symlink("..data/a.yaml", fixture.path("a.yaml")).expect("link");
    assert_eq!(fixture.rescan(), ["a"]);
    symlink("..2024_2", fixture.path("..data_tmp")).expect("link");
    fs::rename(fixture.path("..data_tmp"), fixture.path("..data")).expect("swapped");
    assert_eq!(fixture.rescan(), ["b"]);
    assert_eq!(fixture.findings(), [""; 0]);
}

#[test]
fn a_link_that_leads_upwards_ends_and_one_to_nothing_is_told() {
    let mut fixture = Fixture::new();
    fixture.write("sub/a.yaml", &mk_service("a", 1));
    symlink("..", fixture.path("sub/up")).expect("link");
    symlink("nowhere", fixture.path("sub/dangling.yaml")).expect("link");
    assert_eq!(fixture.rescan(), ["a"]);
    assert_eq!(
        fixture.findings(),
        ["error: File sub/dangling.yaml: is a dangling symbolic link (fix: make it readable; its \
                last good content is still served)"]
    );
}

#[test]
fn what_is_no_manifest_is_reported_and_read_no_further() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fs::write(fixture.path("binary.yaml"), b"a: \xff\xfe").expect("written");
    let large = File::create(fixture.path("large.yaml")).expect("created");
    large.set_len(MAX_FILE_BYTES + 1).expect("sparse");
    assert_eq!(fixture.rescan(), ["a"]);
    assert_eq!(
        fixture.findings(),
        [
            "error: File binary.yaml: is not UTF-8 (fix: make it readable, or remove it)",
            "error: File large.yaml: is larger than 16 MiB (fix: make it readable, or remove it)",
        ]
    );
    fs::write(fixture.path("a.yaml"), b"\xff").expect("written");
    assert_eq!(fixture.rescan(), ["a"], "a file that was good goes on");
}

#[test]
fn a_path_may_be_a_file_of_any_name() {
    let mut fixture = Fixture::new();
    fixture.write(".manifest", &mk_service("a", 1));
    fixture.directory = Directory::new([fixture.path(".manifest"), fixture.path("missing.yaml")]);
    assert_eq!(fixture.rescan(), ["a"]);
    assert_eq!(fixture.findings().len(), 1);
    fs::remove_file(fixture.path(".manifest")).expect("removed");
    assert_eq!(fixture.rescan(), ["a"], "a path of the configuration is expected to be there");
    assert_eq!(fixture.findings().len(), 2);
}

#[test]
fn what_is_not_read_is_counted_over_all_files() {
    let mut fixture = Fixture::new();
    let route = "{apiVersion: traefik.io/v1alpha1, kind: IngressRouteUDP, metadata: {name: NAME, namespace: shop}}";
    fixture.write("a.yaml", &route.replace("NAME", "a"));
    fixture
        .write("b.yaml", &format!("{}\n---\n{}", route.replace("NAME", "b"), mk_service("s", 1)));
    assert_eq!(fixture.rescan(), ["s"]);
    let expected = |place: &str, what: &str| {
        format!(
            "warning: File {place}: {what} (fix: apply a Service in its place: {{apiVersion: v1, kind: Service, \
                metadata: {{name: NAME, namespace: NAMESPACE}}, spec: {{type: LoadBalancer, selector: LABELS OF THE \
                PODS, ports: [{{port: PORT, protocol: UDP}}]}}}})"
        )
    };
    let both = "2 IngressRouteUDPs (traefik.io) are not served yet: shop/a, shop/b";
    assert_eq!(fixture.findings(), [expected("a.yaml and another", both)]);
    fs::remove_file(fixture.path("a.yaml")).expect("it is there");
    assert_eq!(fixture.rescan(), ["s"]);
    let one = "1 IngressRouteUDP (traefik.io) is not served yet: shop/b";
    assert_eq!(fixture.findings(), [expected("b.yaml", one)]);
}

#[test]
fn a_file_that_becomes_a_template_keeps_what_it_served() {
    let mut fixture = Fixture::new();
    fixture.write("a.yaml", &mk_service("a", 1));
    fixture.rescan();
    fixture.write("a.yaml", "kind: Service\nmetadata: {name: {{ .Values.name }}}\n");
    assert_eq!(fixture.rescan(), ["a"]);
    assert!(fixture.findings()[0].contains("1 file is a template and not checked"));
}
