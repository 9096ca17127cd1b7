-- rule: order_facts
-- owner: finance
-- tier: P0
-- description: One row an order. The total comes as text; one that is no number is left out, the order is not
INSERT INTO order_facts
SELECT properties.order_id AS order_id,
       user_id AS uid,
       event_time AS ts,
       TRY_CAST(properties.total AS DOUBLE) AS total,
       length(properties.items) AS lines,
       properties.items[1].product_id AS first_product,
       properties.items[1].price * properties.items[1].quantity AS first_line,
       coalesce(properties.paid_with, 'unknown') AS paid_with,
       properties.items AS items
FROM app_events
WHERE app = 'shop' AND event = 'order_paid';

-- rule: coupons_redeemed
-- owner: finance
-- tier: P2
-- description: Coupons by number. A coupon that is no number fails this rule and becomes a dead letter, which is how the team hears of it
INSERT INTO coupons
SELECT properties.order_id AS order_id,
       event_time AS ts,
       CAST(properties.coupon AS BIGINT) AS coupon
FROM app_events
WHERE app = 'shop' AND event = 'order_paid' AND properties.coupon IS NOT NULL;
