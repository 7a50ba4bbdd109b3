# The same by paho: `publish PORT MESSAGES IN_FLIGHT`, or `idle PORT CLIENTS`.

import sys
import threading
import time
from collections import deque

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "sensors/attic/temperature"
PAYLOAD = b"7" * 64


def client(name):
    made = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
    return made


def publish(port, messages, in_flight):
    paho = client("paho")
    paho.max_inflight_messages_set(in_flight)
    room = threading.Semaphore(in_flight)
    begun, took = deque(), []

    def acknowledged(_client, _data, _mid, _reason, _properties):
        # mosquitto acknowledges in order.
        took.append(time.perf_counter() - begun.popleft())
        room.release()

    connected = threading.Event()
    paho.on_connect = lambda *_: connected.set()
    paho.on_publish = acknowledged
    paho.connect("127.0.0.1", port, keepalive=600)
    paho.loop_start()
    connected.wait()

    def run(count):
        for _ in range(count):
            room.acquire()
            begun.append(time.perf_counter())
            paho.publish(TOPIC, PAYLOAD, qos=1)
        for _ in range(in_flight):
            room.acquire()
        room.release(in_flight)

    run(messages // 10)
    took.clear()
    start = time.perf_counter()
    run(messages)
    seconds = time.perf_counter() - start
    took.sort()
    print(seconds, took[len(took) // 2], took[len(took) * 99 // 100])
    paho.disconnect()
    paho.loop_stop()


def idle(port, clients):
    subscribed = threading.Semaphore(0)
    all_of_them = []
    for index in range(clients):
        paho = client(f"paho-{index}")
        paho.on_connect = lambda paho, *_: paho.subscribe(f"idle/{paho._client_id.decode()}", qos=1)
        paho.on_subscribe = lambda *_: subscribed.release()
        paho.connect("127.0.0.1", port, keepalive=600)
        paho.loop_start()
        subscribed.acquire()
        all_of_them.append(paho)
    print("ready", flush=True)
    threading.Event().wait()


verb, *numbers = sys.argv[1:]
{"publish": publish, "idle": idle}[verb](*map(int, numbers))
