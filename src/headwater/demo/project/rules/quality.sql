-- rule: playback_quality
-- owner: player-team
-- tier: P2
-- description: Plays that stalled, and how much of the time they did
INSERT INTO playback_quality
SELECT properties.video_id AS video_id,
       event_time AS ts,
       context.os.name || ' ' || context.os.version AS os,
       properties.quality.height AS height,
       properties.quality.bitrate_kbps AS bitrate_kbps,
       properties.stalled_ms / properties.played_ms AS stalled_share,
       CASE WHEN properties.stalled_ms > 2000 THEN 'bad' WHEN properties.stalled_ms > 500 THEN 'poor' ELSE 'fair' END AS verdict
FROM app_events
WHERE event = 'video_play' AND properties.stalled_ms > 0 AND properties.played_ms BETWEEN 1 AND 600000;
