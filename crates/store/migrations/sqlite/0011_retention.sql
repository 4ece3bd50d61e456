-- How long a queue's tasks are kept once they have ended, in microseconds: where `retains`, those without a time for good;
-- else as the server says. Servers that know only the tables before keep everything themselves, and hinder nobody.

alter table queue add column retains integer not null default 0 check (retains in (0, 1));

alter table queue add column completed_life integer;

alter table queue add column failed_life integer;

alter table queue add column timeout_life integer;

alter table queue add column cancelled_life integer;
