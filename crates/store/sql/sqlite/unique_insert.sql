insert into unique_key (queue, key, task)
values (?1, ?2, ?3)
