-- lane_lock (PostgreSQL): lanes are numbered by one server at a time, so that no two give the same number, and numbers
-- become visible in their order.
lock table lane in share row exclusive mode
