//! Reading and writing PUBLISH.

use std::hint::black_box;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::BytesMut;
use jackfield_mqtt::codec::{Decoder, Encoder, MessageProperties, Packet, Publish, QoS, Version};
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData};
use mqtt_protocol_core::mqtt::packet::v5_0;
use rumqttc::v5::mqttbytes::v5 as rumqttc;

use crate::race::Race;
use crate::report::Report;

/// How many packets are in the buffer that is read from, or are written to the one that is reused.
const IN_A_ROW: usize = 64;

const TOPIC: &str = "sensors/attic/temperature";
const PAYLOAD: [u8; 64] = [b'7'; 64];

pub(crate) fn run(report: &mut Report) -> Result<()> {
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
         do so in part. A packet each. Aim: decoding at least 1.2 times as fast as the best, \
         encoding no slower.",
    );
    let mut rows = Vec::new();
    for (name, publish) in [("64 B", plain()?), ("64 B, three properties", described()?)] {
        let packet = Packet::Publish(publish);
        let mut one = Vec::new();
        Encoder::new(Version::V5).encode(&packet, &mut one)?;
        let many = one.repeat(IN_A_ROW);
        let theirs = Theirs::read(&one)?;
        for (what, race) in [
            ("decode", decode(format!("decode {name}"), &many)),
            (
                "encode",
                encode(format!("encode {name}"), &packet, &theirs, &many)?,
            ),
        ] {
            let outcome = race.run()?;
            let mut row = vec![format!("{what} {name}")];
            row.extend(outcome.cells());
            row.extend(outcome.over_best());
            rows.push(row);
        }
    }
    report.table(
        &[
            "",
            "jackfield-mqtt",
            "mqttbytes",
            "rumqttc",
            "mqtt-protocol-core",
            "the best's time, ratio",
            "instructions, ratio",
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

/// Takes all packets off a buffer.
fn decode(name: String, many: &[u8]) -> Race<'_> {
    let decoder = Decoder::new(Version::V5);
    let (mut ours, mut mqttbytes, mut theirs) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    let mut builder = PacketBuilder::new();
    Race::new("mqtt-codec", name, IN_A_ROW)
        .with(move || {
            ours.extend_from_slice(many);
            for _ in 0..IN_A_ROW {
                black_box(decoder.decode(black_box(&mut ours))?.context("no packet")?);
            }
            Ok(())
        })
        .with(move || {
            mqttbytes.extend_from_slice(many);
            for _ in 0..IN_A_ROW {
                let packet = mqttbytes::v5::read(black_box(&mut mqttbytes), usize::MAX);
                black_box(packet.map_err(|error| anyhow::anyhow!("{error}"))?);
            }
            Ok(())
        })
        .with(move || {
            theirs.extend_from_slice(many);
            for _ in 0..IN_A_ROW {
                black_box(rumqttc::Packet::read(black_box(&mut theirs), None)?);
            }
            Ok(())
        })
        .with(move || {
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

/// Writes the packet again and again into a buffer that is reused; all write the same.
fn encode<'a>(
    name: String,
    packet: &'a Packet,
    theirs: &'a Theirs,
    expected: &[u8],
) -> Result<Race<'a>> {
    let encoder = Encoder::new(Version::V5);
    let ours = move |out: &mut Vec<u8>| anyhow::Ok(encoder.encode(black_box(packet), out)?);
    let mqttbytes = |out: &mut BytesMut| {
        let written = black_box(&theirs.mqttbytes).write(out);
        written.map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::Ok(())
    };
    let rumqttc = |out: &mut BytesMut| {
        black_box(&theirs.rumqttc).write(out, None)?;
        anyhow::Ok(())
    };
    let core = |out: &mut Vec<u8>| {
        for slice in black_box(&theirs.core).to_buffers() {
            out.extend_from_slice(&slice);
        }
        anyhow::Ok(())
    };
    let (mut vec, mut bytes) = (Vec::new(), BytesMut::new());
    let one = &expected[..expected.len() / IN_A_ROW];
    ours(&mut vec)?;
    ensure!(vec == one, "jackfield-mqtt wrote something else");
    mqttbytes(&mut bytes)?;
    ensure!(same(&bytes, one), "mqttbytes wrote something else");
    bytes.clear();
    rumqttc(&mut bytes)?;
    ensure!(same(&bytes, one), "rumqttc wrote something else");
    vec.clear();
    core(&mut vec)?;
    ensure!(same(&vec, one), "mqtt-protocol-core wrote something else");
    Ok(Race::new("mqtt-codec", name, IN_A_ROW)
        .with(into(Vec::new(), Vec::clear, ours))
        .with(into(BytesMut::new(), BytesMut::clear, mqttbytes))
        .with(into(BytesMut::new(), BytesMut::clear, rumqttc))
        .with(into(Vec::new(), Vec::clear, core)))
}

/// The work that writes a row of packets into a buffer after it was cleared.
fn into<B>(
    mut buffer: B,
    clear: fn(&mut B),
    mut write: impl FnMut(&mut B) -> Result<()>,
) -> impl FnMut() -> Result<()> {
    move || {
        clear(&mut buffer);
        for _ in 0..IN_A_ROW {
            write(black_box(&mut buffer))?;
        }
        Ok(())
    }
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
