-- rule: shop_events
-- owner: shop-team
-- tier: P3
-- description: Every event of the shop as it was reported, without what only the collector needs to know
INSERT INTO shop_events
SELECT * EXCLUDE (hw)
FROM app_events
WHERE app = 'shop' AND event IN ('search', 'product_view', 'add_to_cart', 'order_paid', 'order_refunded');
