//! The npm package as its users have it: packed, installed into a project of its own, checked by TypeScript,
//! bundled, and run in Chromium.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use jackfield_browser_tests::page;
use jackfield_testing::chromium::Chromium;
use jackfield_testing::process::{Process, free_addresses};
use jackfield_testing::runtimes::node_folder;
use jackfield_testing::site::Site;
use jackfield_testing::workspace::{cargo, target_folder};
use tempfile::TempDir;

/// What the project's page does: it publishes to itself, over a broker in the page's place, and says what
/// became of a mistake.
const MAIN: &str = "\
import { open, load, JackfieldError, type Network, type MqttMessage } from 'jackfield/mqtt';

declare global {
  var outcome: Promise<string>;
}

async function play(): Promise<string> {
  await load();
  // What reads rules is a module of its own.
  const network = await open({ policy: { allow: ['127.0.0.1:9'] } });
  await using broker = await network.mqtt('ws://127.0.0.1:9/mqtt', { reconnect: { first: 60_000 } });
  try {
    await broker.publish('lamp', 'on', { qos: 3 as 1 });
    return 'it was taken';
  } catch (error) {
    return error instanceof JackfieldError ? `${error.kind}: ${error.message}` : String(error);
  }
}

export async function texts(network: Network): Promise<string[]> {
  const found: string[] = [];
  const broker = await network.mqtt(new URL('mqtts://broker.example.org'));
  for await (const message of broker.subscribe('kitchen/+')) {
    const known: MqttMessage = message;
    found.push(known.text());
  }
  return found;
}

globalThis.outcome = play();
";

/// What that comes to.
const OUTCOME: &str = "invalid-input: the option qos is no whole number from 0 to 2";

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A project that has the package from its tarball.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(
            at.join("package.json"),
            "{ \"private\": true, \"type\": \"module\" }",
        )
        .unwrap();
        let install = ["install", "--offline", "--no-audit", "--no-fund"];
        run(npm(&install).arg(tarball()).current_dir(at));
        fs::write(at.join("main.ts"), MAIN).unwrap();
        let html =
            "<!doctype html><title>A project</title><script type=module src=main.ts></script>";
        fs::write(at.join("index.html"), html).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a program of npm's in the project; gives what it writes.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let program = node_folder().join("node_modules").join(program);
        let mut command = Command::new("node");
        run(command
            .arg(program)
            .args(arguments)
            .current_dir(self.path()))
    }
}

/// The package as npm packs it, once in a process.
fn tarball() -> &'static Path {
    static PACKED: OnceLock<PathBuf> = OnceLock::new();
    PACKED.get_or_init(|| {
        let folder = target_folder().join("npm-packed");
        // What an earlier run has left is of an earlier package.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let pack = ["pack", "--pack-destination", folder.to_str().unwrap()];
        run(npm(&pack).current_dir(page("npm").unwrap()));
        fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
    })
}

fn npm(arguments: &[&str]) -> Command {
    let mut npm = Command::new("npm");
    npm.args(arguments);
    npm
}

/// Runs it to a good end; gives what it writes.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// What the page in this folder comes to, in Chromium.
async fn outcome(folder: &Path) -> String {
    let site = Site::builder().dir(folder).start().await.unwrap();
    outcome_at(&site.url()).await
}

async fn outcome_at(url: &str) -> String {
    let browser = Chromium::launch().await.unwrap();
    let page = browser.open(url).await.unwrap();
    page.wait_for("globalThis.outcome !== undefined")
        .await
        .unwrap();
    let outcome = page.evaluate::<String>("globalThis.outcome").await.unwrap();
    browser.close().await.unwrap();
    outcome
}

#[test]
fn typescript_finds_its_types_by_every_way_of_resolving() {
    let project = Project::new();
    for (module, resolution) in [
        ("esnext", "bundler"),
        ("nodenext", "nodenext"),
        ("node16", "node16"),
    ] {
        let options = [
            "--noEmit",
            "--strict",
            "--target",
            "esnext",
            "--lib",
            "esnext,dom",
            "--module",
            module,
            "--moduleResolution",
            resolution,
            "main.ts",
        ];
        project.run("typescript/bin/tsc", &options);
    }
}

#[test]
fn it_is_packed_as_packages_should_be() {
    let project = Project::new();
    let said = project.run(
        "publint/src/cli.js",
        &["--strict", tarball().to_str().unwrap()],
    );
    assert!(said.contains("All good"), "{said}");
    let tarball = tarball().to_str().unwrap();
    // It is for pages: there is nothing for CommonJS.
    let arguments = [
        tarball,
        "--profile",
        "esm-only",
        "--exclude-entrypoints",
        "index.wasm",
    ];
    project.run("@arethetypeswrong/cli/dist/index.js", &arguments);
}

/// TypeDoc finds a name that the types use and don't explain, and a link to nothing.
#[test]
fn its_reference_can_be_made() {
    let xtask = ["run", "--quiet", "--package=xtask", "--", "reference"];
    run(&mut cargo(&xtask));
    let html = target_folder().join("reference/html/interfaces/mqtt.Mqtt.html");
    let html = fs::read_to_string(html);
    assert!(
        html.unwrap()
            .contains("Publishes; settles when the delivery is complete")
    );
}

#[test]
fn node_imports_it_and_is_told_what_it_is_not() {
    let project = Project::new();
    let script = "import { open } from 'jackfield';\n\
                  await open().catch(({ kind, message }) => console.log(`${kind}: ${message}`));";
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", script]);
    let said = run(node.current_dir(project.path()));
    assert_eq!(
        said,
        "unsupported: this is neither a page nor a worker: open() is for these\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn vite_bundles_it() {
    let project = Project::new();
    project.run(
        "vite/bin/vite.js",
        &["build", "--target", "esnext", "--logLevel", "warn"],
    );
    assert_eq!(outcome(&project.path().join("dist")).await, OUTCOME);
}

/// Its server, up to version 7, bundles what is imported ahead of time and leaves the module behind: it has to
/// be told not to, as the package's README says.
#[tokio::test(flavor = "multi_thread")]
async fn vite_serves_it_while_one_works() {
    let project = Project::new();
    let config = "export default { optimizeDeps: { exclude: ['jackfield'] } };";
    fs::write(project.path().join("vite.config.js"), config).unwrap();
    let [at] = free_addresses().unwrap();
    let mut vite = Command::new("node");
    vite.arg(node_folder().join("node_modules/vite/bin/vite.js"))
        .args([
            "--host",
            "127.0.0.1",
            "--strictPort",
            "--port",
            &at.port().to_string(),
        ])
        .current_dir(project.path());
    let mut vite = Process::start(vite).unwrap();
    vite.wait_for_port(at, PATIENCE).await.unwrap();
    assert_eq!(outcome_at(&format!("http://{at}/")).await, OUTCOME);
    vite.terminate(PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn parcel_bundles_it() {
    let project = Project::new();
    // Its compiler of TypeScript doesn't know `await using`.
    transpile(&project);
    page_of(&project, "");
    let build = [
        "build",
        "index.html",
        "--dist-dir",
        "dist",
        "--no-cache",
        "--public-url",
        "./",
    ];
    project.run("parcel/lib/bin.js", &build);
    assert_eq!(outcome(&project.path().join("dist")).await, OUTCOME);
}

#[tokio::test(flavor = "multi_thread")]
async fn webpack_bundles_it() {
    let project = Project::new();
    // TypeScript is compiled before: webpack's part is to find the package and its module.
    transpile(&project);
    let webpack = node_folder().join("node_modules/webpack/lib/index.js");
    let script = "import webpack from 'file://WEBPACK';\n\
        const path = process.cwd() + '/dist';\n\
        const output = { path, filename: 'main.js', publicPath: '' };\n\
        webpack({ mode: 'production', entry: './main.js', target: 'web', output }, (error, stats) => {\n\
            if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());\n\
        });";
    let script = script.replace("WEBPACK", &webpack.to_string_lossy());
    let mut node = Command::new("node");
    node.args(["--input-type=module", "--eval", &script]);
    run(node.current_dir(project.path()));
    page_of(&project, "dist");
    assert_eq!(outcome(&project.path().join("dist")).await, OUTCOME);
}

#[tokio::test(flavor = "multi_thread")]
async fn esbuild_bundles_it_with_the_module_beside() {
    let project = Project::new();
    let bundle = [
        "main.ts",
        "--bundle",
        "--format=esm",
        "--outfile=dist/main.js",
    ];
    project.run("esbuild/bin/esbuild", &bundle);
    let module = project.path().join("node_modules/jackfield/wasm");
    let beside = project.path().join("dist/wasm");
    fs::create_dir(&beside).unwrap();
    for name in ["mqtt_bg.wasm", "policy_bg.wasm"] {
        fs::copy(module.join(name), beside.join(name)).unwrap();
    }
    page_of(&project, "dist");
    assert_eq!(outcome(&project.path().join("dist")).await, OUTCOME);
}

/// As a page without any tool has it: by an import map.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_without_tools_imports_it() {
    let project = Project::new();
    transpile(&project);
    let html = "<!doctype html><title>A project</title>\
        <script type=importmap>{\"imports\":{\"jackfield/mqtt\":\"/node_modules/jackfield/mqtt.js\"}}</script>\
        <script type=module src=main.js></script>";
    fs::write(project.path().join("index.html"), html).unwrap();
    assert_eq!(outcome(project.path()).await, OUTCOME);
}

/// Makes JavaScript of the project's page.
fn transpile(project: &Project) {
    project.run(
        "esbuild/bin/esbuild",
        &[
            "main.ts",
            "--format=esm",
            "--target=es2022",
            "--outfile=main.js",
        ],
    );
}

/// Puts a page beside the bundle.
fn page_of(project: &Project, folder: &str) {
    let html = "<!doctype html><title>A project</title><script type=module src=main.js></script>";
    fs::write(project.path().join(folder).join("index.html"), html).unwrap();
}
