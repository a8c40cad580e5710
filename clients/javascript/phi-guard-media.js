/**
 * Tells phi-guard how the media of a call fared in the caller's browser: round trip, jitter and loss, three numbers every ten seconds.
 *
 * They go to the agent as a data packet on the topic "phi_guard.media": {"v":1,"rtt_ms":41.5,"jitter_ms":3,"loss_pct":0.25}. No name, no id
 * and no address is read into it or sent. Nothing here throws, and nothing is sent once the room is left. No dependency; an ES module.
 */

export const TOPIC = "phi_guard.media";

const EVERY_MS = 10000;
const FIRST_MS = 3000; // so that a short call tells something
const SHORTEST_MS = 5500; // the agent takes one packet in five seconds
const PATIENCE_MS = 2000;
const LONGEST_MS = 60000; // the agent believes no more, and 100 percent

/**
 * Start to tell. Call it when the room is connected, or before.
 *
 * @param {object} room livekit-client's Room (names checked against 2.23).
 * @param {{everyMs?: number}} [options] milliseconds between two packets: 10 000 unless told, never less than 5 500.
 * @returns {() => void} stops; stopping twice stops once. Leaving the room stops as well.
 */
export function startPhiGuardMedia(room, options = {}) {
  const asked = Number(options?.everyMs ?? EVERY_MS);
  const everyMs = asked < 2 ** 31 ? Math.max(asked, SHORTEST_MS) : EVERY_MS; // not a number is not less
  let before = null;
  let timer = null;
  let stopped = false;

  async function tick(nextMs) {
    try {
      const now = room.state === "connected" ? await within(PATIENCE_MS, read(room)) : null;
      if (now !== null && !stopped) {
        const told = before === null ? null : between(before, now);
        before = now;
        if (told !== null) {
          const bytes = new TextEncoder().encode(JSON.stringify(told));
          await within(PATIENCE_MS, room.localParticipant.publishData(bytes, { reliable: false, topic: TOPIC }));
        }
      }
    } catch {
      // a window that is not told
    }
    if (!stopped) timer = setTimeout(tick, nextMs, before === null ? FIRST_MS : everyMs);
  }

  function stop() {
    stopped = true;
    clearTimeout(timer);
    try {
      room.off("disconnected", stop);
    } catch {
      // never was one
    }
  }

  try {
    room.on("disconnected", stop);
  } catch {
    return stop; // not a room
  }
  tick(FIRST_MS);
  return stop;
}

/** The counters now: of the agent's audio as it arrives, of our own as the media server reports it, and of the network paths. */
async function read(room) {
  const now = { heard: new Map(), echoed: new Map(), paths: new Map() };
  for (const participant of [room.localParticipant, ...room.remoteParticipants.values()]) {
    for (const { track } of participant.audioTrackPublications.values()) {
      const report = await track?.getRTCStatsReport();
      report?.forEach((entry) => see(now, entry, report));
    }
  }
  return now;
}

function see(now, entry, report) {
  if (entry.type === "inbound-rtp" && entry.kind === "audio") {
    if (isCount(entry.packetsReceived)) {
      now.heard.set(entry.ssrc, { got: entry.packetsReceived, lost: Math.max(0, Number(entry.packetsLost) || 0), jitter: entry.jitter });
    }
  } else if (entry.type === "remote-inbound-rtp" && entry.kind === "audio") {
    if (isCount(entry.totalRoundTripTime) && isCount(entry.roundTripTimeMeasurements)) {
      now.echoed.set(entry.ssrc, { total: entry.totalRoundTripTime, times: entry.roundTripTimeMeasurements });
    }
  } else if (entry.type === "transport") {
    const pair = report.get(entry.selectedCandidatePairId);
    if (pair?.responsesReceived > 0 && isCount(pair.currentRoundTripTime)) {
      now.paths.set(pair.id, { answers: pair.responsesReceived, rtt: pair.currentRoundTripTime });
    }
  }
}

/**
 * The window between two readings, or null if it says nothing. A stream that was not there before, or whose counters went back, is counted
 * from zero. The round trip is the mean of what the media server echoed; where it echoed nothing, the network path's last probe.
 */
function between(before, now) {
  let [got, lost, jitter, total, times, probed] = [0, 0, null, 0, 0, null];
  for (const [ssrc, stream] of now.heard) {
    const old = before.heard.get(ssrc);
    const base = old !== undefined && old.got <= stream.got ? old : { got: 0, lost: 0 };
    got += stream.got - base.got;
    lost += Math.max(0, stream.lost - base.lost);
    if (stream.got > base.got && isCount(stream.jitter)) jitter = Math.max(jitter ?? 0, stream.jitter);
  }
  for (const [ssrc, echo] of now.echoed) {
    const old = before.echoed.get(ssrc);
    const base = old !== undefined && old.times <= echo.times && old.total <= echo.total ? old : { total: 0, times: 0 };
    total += echo.total - base.total;
    times += echo.times - base.times;
  }
  for (const [id, path] of now.paths) {
    if (probed === null && before.paths.get(id)?.answers !== path.answers) probed = path.rtt;
  }
  const told = { v: 1 };
  put(told, "rtt_ms", times > 0 ? (1000 * total) / times : probed === null ? null : 1000 * probed, LONGEST_MS);
  put(told, "jitter_ms", jitter === null ? null : 1000 * jitter, LONGEST_MS);
  put(told, "loss_pct", got + lost > 0 ? (100 * lost) / (got + lost) : null, 100);
  return Object.keys(told).length > 1 ? told : null;
}

function put(told, key, value, most) {
  if (isCount(value) && value <= most) told[key] = Math.round(1000 * value) / 1000;
}

function isCount(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0;
}

function within(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer")), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

globalThis.startPhiGuardMedia ??= startPhiGuardMedia; // for a page without imports: <script type="module" src="phi-guard-media.js">
