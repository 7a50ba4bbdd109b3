//! The types that pages are written with are true: the package's, its scripts below them, what
//! wasm-bindgen makes, the pages, and the examples of the documentation fit together, as the compiler
//! of TypeScript sees it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use jackfield_browser_tests::documents::{DOCUMENTS, blocks};
use jackfield_browser_tests::{page, workspace};
use jackfield_testing::runtimes::node_folder;
use serde_json::json;

/// What the examples take as given.
const GIVEN: &str = "declare const token: string, password: string, readings: string[], image: Uint8Array;\n\
                     declare const ownAuthority: string, ownCertificate: string, ownKey: string;\n";
const NETWORK: &str = "import type { Network } from 'jackfield';\n\
                       declare const network: Network;\n";

/// Checks these files, and gives what the compiler says.
fn check(folder: &Path, files: &[PathBuf]) -> (bool, String) {
    let options = json!({
        "compilerOptions": {
            "allowJs": true,
            "lib": ["esnext", "dom", "dom.iterable", "dom.asynciterable"],
            "module": "esnext",
            "moduleResolution": "bundler",
            "noEmit": true,
            "noUncheckedIndexedAccess": true,
            "paths": { "jackfield": ["./jackfield/index.d.ts"], "jackfield/*": ["./jackfield/*.d.ts"] },
            "strict": true,
            "target": "esnext",
            "types": [],
        },
        "files": files,
    });
    fs::write(folder.join("tsconfig.json"), options.to_string()).unwrap();
    let compiler = node_folder().join("node_modules/typescript/bin/tsc");
    let output = Command::new("node")
        .arg(compiler)
        .arg("--project")
        .arg(folder)
        .output()
        .expect("node; `cargo xtask test` installs it");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A folder of files that import the package `jackfield`.
fn folder(files: &[(String, String)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    symlink(page("npm").unwrap(), folder.path().join("jackfield")).unwrap();
    let paths = files.iter().map(|(name, content)| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

#[test]
fn the_pages_and_what_they_stand_on_agree() {
    let mut folders = ["", "lib", "lib/direct"]
        .map(|within| page("npm").unwrap().join(within))
        .to_vec();
    for name in ["iot", "irc", "log-in"] {
        folders.extend(["js", "shared/js"].map(|within| page(name).unwrap().join(within)));
    }
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    let is_script = |file: &PathBuf| {
        file.extension()
            .is_some_and(|kind| kind == "js" || kind == "ts")
    };
    let mut files: Vec<_> = files.filter(is_script).collect();
    assert!(files.len() > 20, "{files:?}");
    let device = include_str!("../page/device.js").to_owned();
    let (folder, more) = folder(&[("device.js".to_owned(), device)]);
    files.extend(more);
    let (fits, said) = check(folder.path(), &files);
    assert!(fits, "{said}");
}

#[test]
fn the_examples_are_written_as_the_types_say() {
    let mut examples = Vec::new();
    for document in DOCUMENTS {
        let text = fs::read_to_string(workspace().join(document)).unwrap();
        for block in blocks(&text) {
            let network = if block.contains("const network") {
                ""
            } else {
                NETWORK
            };
            let name = format!("example-{}.ts", examples.len());
            // Each is a module of its own.
            examples.push((name, format!("{network}{GIVEN}{block}export {{}};\n")));
        }
    }
    assert!(examples.len() > 4, "{examples:?}");
    let (folder, files) = folder(&examples);
    let (fits, said) = check(folder.path(), &files);
    assert!(fits, "{said}\n{examples:#?}");
}

/// What would show that the checks above check nothing.
#[test]
fn what_is_wrong_is_found() {
    let wrong = [
        "broker.publish(1, 'on');",
        "broker.publish('lamp', 'on', { qos: 3 });",
        "const count: string = await broker.published();",
        "for await (const message of broker.subscribe('#')) message.topic.nothing;",
        "await broker.close('good night');",
        "await broker.disconnect();",
        "await device.put('/light', 1);",
        "(await device.get('/light')).payload.nothing;",
        "network.mqtt('mqtts://broker.example.org', { keepalive: 1 });",
        "network.connect('db.example.org:5432', { tls: { maxVersion: '1.2' } });",
        "network.connect('db.example.org:5432').close().then(done => done.nothing);",
        "import('jackfield').then(({ open }) => open({ pins: 'key:' }));",
        "import('jackfield').then(({ open }) => open({ token: async () => 5 }));",
        "import('jackfield').then(({ open }) => open({ policy: { allow: '*:443' } }));",
        "import('jackfield').then(({ open }) => open({ policy: { ask: async () => 'yes' } }));",
        "import('jackfield/policy').then(({ restrict }) => restrict());",
    ];
    let files = wrong.iter().enumerate().map(|(number, wrong)| {
        let source = format!(
            "{NETWORK}const broker = await network.mqtt('mqtts://broker.example.org');\n\
             const device = await network.coap('coap://192.168.1.20');\n{wrong}\nexport {{}};\n",
        );
        (format!("wrong-{number}.ts"), source)
    });
    let (folder, files) = folder(&files.collect::<Vec<_>>());
    let (_, said) = check(folder.path(), &files);
    for (number, wrong) in wrong.iter().enumerate() {
        let place = format!("wrong-{number}.ts(5,");
        assert!(said.contains(&place), "{wrong}: {said}");
    }
}
