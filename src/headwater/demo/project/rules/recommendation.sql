-- What the recommender learns from: what people did with which item, videos and products alike.

-- rule: video_actions
-- owner: recommendation-team
-- tier: P1
-- description: Likes, shares and plays of videos, as actions of one shape
INSERT INTO user_actions
SELECT user_id AS uid,
       device_id AS did,
       event_time AS ts,
       CASE WHEN event = 'video_like' THEN 'like'
            WHEN event = 'video_share' THEN 'share'
            WHEN properties.played_ms >= 30000 THEN 'long_play'
            ELSE 'play' END AS action,
       properties.video_id AS item_id,
       'video' AS item_kind,
       lower(context.device.model) AS model
FROM app_events
WHERE app = 'video'
  AND (event IN ('video_like', 'video_share') OR (event = 'video_play' AND properties.played_ms > 3000));

-- rule: shop_actions
-- owner: recommendation-team
-- tier: P1
-- description: Products looked at and put into a basket
INSERT INTO user_actions
SELECT user_id AS uid,
       device_id AS did,
       event_time AS ts,
       CASE WHEN event = 'add_to_cart' THEN 'cart' ELSE 'look' END AS action,
       properties.product_id AS item_id,
       'product' AS item_kind,
       lower(context.device.model) AS model
FROM app_events
WHERE app = 'shop' AND event IN ('product_view', 'add_to_cart') AND properties.product_id IS NOT NULL;
