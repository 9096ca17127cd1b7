-- rule: ad_clicks
-- owner: ads-team
-- tier: P0
-- description: Clicks, with what each one cost
INSERT INTO ad_attribution
SELECT event_id,
       device_id AS did,
       event_time AS ts,
       'click' AS touch,
       properties.ad_id AS ad_id,
       properties.campaign AS campaign,
       properties.cost AS amount
FROM app_events
WHERE app = 'video' AND event = 'ad_click';

-- rule: ad_conversions
-- owner: ads-team
-- tier: P0
-- description: Orders that followed a click, under the campaign of that click
INSERT INTO ad_attribution
SELECT event_id,
       device_id AS did,
       event_time AS ts,
       'order' AS touch,
       properties.ad_id AS ad_id,
       properties.campaign AS campaign,
       TRY_CAST(properties.total AS DOUBLE) AS amount
FROM app_events
WHERE app = 'shop' AND event = 'order_paid' AND properties.campaign IS NOT NULL;
