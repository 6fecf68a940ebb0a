use std::time::Duration;

use super::*;

#[derive(Debug)]
struct Pump {
    threads: [Vec<Durations>; 2],
}

impl Source for Pump {
    fn show(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        sheet.info("pump_info", "What runs", &[("maker", "a \"b\""), ("version", "1")])?;
        sheet.gauges("pump_level", "Level of each tank", &[(vec![("tank", "one")], 3), (vec![("tank", "two")], 4)])?;
        sheet.gauge("pump_tanks", "Tanks", 2)?;
        sheet.counter("pump_litres", "Pumped", 5)?;
        let threads = self.threads.iter().map(Vec::as_slice);
        sheet.durations("pump_stroke_seconds", "Strokes", "kind", &["in", "out", "never"], threads)
    }
}

#[test]
fn text_has_every_number_with_its_labels() {
    let thread = || [Durations::default(), Durations::default(), Durations::default()].into();
    let pump = Pump { threads: [thread(), thread()] };
    pump.threads[0][0].record(Duration::from_micros(20));
    pump.threads[1][0].record(Duration::from_micros(30));
    pump.threads[1][1].record(Duration::from_secs(60));
    let text = Exposition::of([Box::new(pump) as Box<dyn Source>]).text().expect("it fits");
    for line in [
        r#"pump_info{maker="a \"b\"",version="1"} 1"#,
        r#"pump_level{tank="one"} 3"#,
        r#"pump_level{tank="two"} 4"#,
        "pump_tanks 2",
        "pump_litres_total 5",
        "# TYPE pump_stroke_seconds histogram",
        r#"pump_stroke_seconds_count{kind="in"} 2"#,
        r#"pump_stroke_seconds_bucket{le="0.000025",kind="in"} 1"#,
        r#"pump_stroke_seconds_bucket{le="0.00005",kind="in"} 2"#,
        r#"pump_stroke_seconds_bucket{le="30.0",kind="out"} 0"#,
        r#"pump_stroke_seconds_bucket{le="+Inf",kind="out"} 1"#,
        r#"pump_stroke_seconds_sum{kind="out"} 60.0"#,
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("never"), "{text}");
}
