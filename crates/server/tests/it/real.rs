use llamatelemetry_server::*;
use llamatelemetry_settings::*;
#[test]
fn first() {
    let e = Environment::from_process();
    let s = resolve(e.clone(), &Flags::default()).unwrap().settings;
    let spec = LaunchSpec::new(
        e.get("LLAMATELEMETRY_TEST_LLAMA_SERVER").unwrap(),
        e.get("LLAMATELEMETRY_TEST_MODEL").unwrap(),
        &s,
    );
    for _ in 0..3 {
        let p = ServerProcess::start(&spec, &llamatelemetry_progress::Silent).unwrap();
        println!("{p:?} {:?}", p.start_times());
        let t = std::time::Instant::now();
        let x = p.stop(std::time::Duration::from_secs(5));
        println!("{:?} {:?} {:?}", t.elapsed(), x.class, x.code);
    }
}
