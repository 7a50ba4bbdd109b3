//! Reading and writing PUBLISH.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use jackfield_mqtt::codec::{Decoder, Encoder, MessageProperties, Packet, Publish, QoS, Version};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData};
use mqtt_protocol_core::mqtt::packet::v5_0;
use rumqttc::v5::mqttbytes::v5 as rumqttc;

use crate::report::Report;
use crate::stats::median;

/// How many packets are in the buffer that is read from, or are written to the one that is reused.
const IN_A_ROW: usize = 64;
const REPEATS: usize = 400_000 / IN_A_ROW;
const RUNS: usize = 7;

const TOPIC: &str = "sensors/attic/temperature";
const PAYLOAD: [u8; 64] = [b'7'; 64];

pub(super) fn run(report: &mut Report) -> Result<()> {
    report.heading(
        "MQTT packets over mqttbytes 0.6, rumqttc 0.25.1 and mqtt-protocol-core 0.7.9",
        "PUBLISH of MQTT 5 with QoS 1, a topic of 25 bytes and a payload of 64; and the same with a \
         content type, an expiry and one user property. Decoding: 64 packets are put into a \
         `BytesMut`, as a socket would, and taken off one by one, each as an owned packet whose \
         payload shares the buffer; mqtt-protocol-core reads from a slice, which saves it that copy, \
         and copies each packet's body instead. Encoding: 64 times the same packet to the end of a \
         buffer that is reused; mqtt-protocol-core gives slices of what its packet has encoded \
         when it was made, and they are put there. jackfield-mqtt validates as MQTT 5 asks: that \
         the topic is a topic name, that no property comes twice or where it must not; the others \
         do so in part. Nanoseconds a packet, median of 7 runs of 400,000, alternating. Aim: \
         decoding at least 1.2 times as fast as the best, encoding no slower.",
    );
    let mut rows = Vec::new();
    for (name, publish) in [("64 B", plain()?), ("64 B, three properties", described()?)] {
        let (decode, encode) = measure(&publish).context(name)?;
        for (what, [ours, peers @ ..]) in [("decode", decode), ("encode", encode)] {
            let best = peers.iter().copied().fold(f64::INFINITY, f64::min);
            let mut row = vec![format!("{what} {name}")];
            row.push(format!("{ours:.1}"));
            row.extend(peers.iter().map(|peer| format!("{peer:.1}")));
            row.push(format!("{:.2}", best / ours));
            rows.push(row);
        }
    }
    report.table(
        &[
            "ns",
            "jackfield-mqtt",
            "mqttbytes",
            "rumqttc",
            "mqtt-protocol-core",
            "speed over the best, ratio",
        ],
        &rows,
    );
    Ok(())
}

fn plain() -> Result<Publish> {
    Ok(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: Some(TOPIC.parse()?),
        packet_id: 7.try_into().ok(),
        topic_alias: None,
        subscription_ids: Vec::new(),
        properties: None,
        payload: PAYLOAD.as_slice().into(),
    })
}

fn described() -> Result<Publish> {
    let properties = MessageProperties {
        content_type: Some("text/plain".parse()?),
        message_expiry: Some(60),
        user_properties: vec![("unit".parse()?, "celsius".parse()?)],
        ..MessageProperties::default()
    };
    let mut publish = plain()?;
    publish.properties = Some(Box::new(properties));
    Ok(publish)
}

/// Nanoseconds a packet of ours and of the peers, to decode and to encode.
fn measure(publish: &Publish) -> Result<([f64; 4], [f64; 4])> {
    let packet = Packet::Publish(publish.clone());
    let mut one = Vec::new();
    Encoder::new(Version::V5).encode(&packet, &mut one)?;
    let many = one.repeat(IN_A_ROW);
    let peers = Theirs::read(&one)?;
    let mut decode: [Vec<f64>; 4] = Default::default();
    let mut encode: [Vec<f64>; 4] = Default::default();
    for _ in 0..RUNS {
        let runs = [
            decode_ours(&many)?,
            decode_mqttbytes(&many)?,
            decode_rumqttc(&many)?,
            decode_core(&many)?,
        ];
        decode
            .iter_mut()
            .zip(runs)
            .for_each(|(all, run)| all.push(run));
        let runs = [
            encode_ours(&packet, &many)?,
            peers.encode_mqttbytes(&many)?,
            peers.encode_rumqttc(&many)?,
            peers.encode_core(&many)?,
        ];
        encode
            .iter_mut()
            .zip(runs)
            .for_each(|(all, run)| all.push(run));
    }
    Ok((decode.map(median), encode.map(median)))
}

fn decode_ours(many: &[u8]) -> Result<f64> {
    let decoder = Decoder::new(Version::V5);
    let mut buffer = BytesMut::new();
    nanoseconds(|| {
        buffer.extend_from_slice(many);
        for _ in 0..IN_A_ROW {
            black_box(
                decoder
                    .decode(black_box(&mut buffer))?
                    .context("no packet")?,
            );
        }
        Ok(())
    })
}

fn decode_mqttbytes(many: &[u8]) -> Result<f64> {
    let mut buffer = BytesMut::new();
    nanoseconds(|| {
        buffer.extend_from_slice(many);
        for _ in 0..IN_A_ROW {
            let packet = mqttbytes::v5::read(black_box(&mut buffer), usize::MAX);
            black_box(packet.map_err(|error| anyhow::anyhow!("{error}"))?);
        }
        Ok(())
    })
}

fn decode_rumqttc(many: &[u8]) -> Result<f64> {
    let mut buffer = BytesMut::new();
    nanoseconds(|| {
        buffer.extend_from_slice(many);
        for _ in 0..IN_A_ROW {
            black_box(rumqttc::Packet::read(black_box(&mut buffer), None)?);
        }
        Ok(())
    })
}

fn decode_core(many: &[u8]) -> Result<f64> {
    let mut builder = PacketBuilder::new();
    nanoseconds(|| {
        let mut cursor = Cursor::new(black_box(many));
        for _ in 0..IN_A_ROW {
            black_box(read_core(&mut builder, &mut cursor)?);
        }
        Ok(())
    })
}

fn read_core(builder: &mut PacketBuilder, from: &mut Cursor<&[u8]>) -> Result<v5_0::Publish> {
    let PacketBuildResult::Complete(raw) = builder.feed(from) else {
        bail!("no packet");
    };
    let flags = raw.flags();
    let PacketData::Publish(body) = raw.data else {
        bail!("no PUBLISH");
    };
    let read = v5_0::Publish::parse(flags, body);
    let (publish, _) = read.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(publish)
}

fn encode_ours(packet: &Packet, expected: &[u8]) -> Result<f64> {
    let encoder = Encoder::new(Version::V5);
    let mut out = Vec::new();
    let each = nanoseconds(|| {
        out.clear();
        for _ in 0..IN_A_ROW {
            encoder.encode(black_box(packet), black_box(&mut out))?;
        }
        Ok(())
    })?;
    ensure!(out == expected, "jackfield-mqtt wrote something else");
    Ok(each)
}

/// The same packet as each peer has it.
struct Theirs {
    mqttbytes: mqttbytes::v5::Publish,
    rumqttc: rumqttc::Packet,
    core: v5_0::Publish,
}

impl Theirs {
    fn read(one: &[u8]) -> Result<Self> {
        let read = mqttbytes::v5::read(&mut one.into(), usize::MAX);
        let mqttbytes::v5::Packet::Publish(mqttbytes) =
            read.map_err(|error| anyhow::anyhow!("{error}"))?
        else {
            bail!("no PUBLISH");
        };
        Ok(Self {
            mqttbytes,
            rumqttc: rumqttc::Packet::read(&mut one.into(), None)?,
            core: read_core(&mut PacketBuilder::new(), &mut Cursor::new(one))?,
        })
    }

    fn encode_mqttbytes(&self, expected: &[u8]) -> Result<f64> {
        let mut out = BytesMut::new();
        let each = nanoseconds(|| {
            out.clear();
            for _ in 0..IN_A_ROW {
                let written = black_box(&self.mqttbytes).write(black_box(&mut out));
                written.map_err(|error| anyhow::anyhow!("{error}"))?;
            }
            Ok(())
        })?;
        ensure!(same(&out, expected), "mqttbytes wrote something else");
        Ok(each)
    }

    fn encode_rumqttc(&self, expected: &[u8]) -> Result<f64> {
        let mut out = BytesMut::new();
        let each = nanoseconds(|| {
            out.clear();
            for _ in 0..IN_A_ROW {
                black_box(&self.rumqttc).write(black_box(&mut out), None)?;
            }
            Ok(())
        })?;
        ensure!(same(&out, expected), "rumqttc wrote something else");
        Ok(each)
    }

    fn encode_core(&self, expected: &[u8]) -> Result<f64> {
        let mut out = Vec::new();
        let each = nanoseconds(|| {
            out.clear();
            for _ in 0..IN_A_ROW {
                for slice in black_box(&self.core).to_buffers() {
                    black_box(&mut out).extend_from_slice(&slice);
                }
            }
            Ok(())
        })?;
        ensure!(
            same(&out, expected),
            "mqtt-protocol-core wrote something else"
        );
        Ok(each)
    }
}

/// The order of properties is each one's own.
fn same(out: &[u8], expected: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    sorted(out) == sorted(expected)
}

/// Nanoseconds a packet, of work that does `IN_A_ROW` of them.
fn nanoseconds(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..REPEATS {
        work()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e9 / (REPEATS * IN_A_ROW) as f64)
}
