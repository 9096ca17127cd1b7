-- rule: experiment_exposures
-- owner: experiment-platform
-- tier: P1
-- description: Who saw which variant; the first variant of an experiment is its control
INSERT INTO exposures
SELECT coalesce(user_id, device_id) AS unit,
       event_time AS ts,
       properties.experiment AS experiment,
       properties."group" AS variant,
       properties."group" = properties.variants[1] AS is_control
FROM app_events
WHERE event = 'experiment_exposure' AND properties."group" IS NOT NULL;
