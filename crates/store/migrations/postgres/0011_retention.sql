-- How long a queue's tasks are kept once they have ended, in microseconds: where `retains`, those without a time for good;
-- else as the server says. Servers that know only the tables before keep everything themselves, and hinder nobody.

alter table queue add column retains boolean not null default false;

alter table queue add column completed_life bigint;

alter table queue add column failed_life bigint;

alter table queue add column timeout_life bigint;

alter table queue add column cancelled_life bigint;

-- What retention takes away leaves dead rows at the low end of the ids, over which each look for more would go: they are
-- cleared sooner than once a fifth of all rows has gone.
alter table task set (autovacuum_vacuum_scale_factor = 0.02);

alter table outcome set (autovacuum_vacuum_scale_factor = 0.02);
