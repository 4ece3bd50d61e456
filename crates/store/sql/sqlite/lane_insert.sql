insert into lane (number, queue, kind, demands)
values (?1, ?2, ?3, ?4)
