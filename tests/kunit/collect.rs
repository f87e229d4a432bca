// SPDX-License-Identifier: GPL-2.0

//! `CountMap`, `Histogram`, `HistogramMap`, `Map`, their keys and their output.

use crate::targets::*;
use kprobes::collect::{
    Form,
    View, //
};

kprobes::key! {
    struct Pair {
        error: i32,
        large: bool,
    }
}

struct Text(KVec<u8>);

impl core::fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL)
            .map_err(|_| core::fmt::Error)
    }
}

fn shown(form: Form, view: &dyn View) -> KVec<u8> {
    let mut text = Text(KVec::new());
    assert!(view.show(form, usize::MAX, &mut text).is_ok());
    text.0
}

fn text(view: &dyn View) -> KVec<u8> {
    shown(Form::Text, view)
}

fn json(view: &dyn View) -> KVec<u8> {
    shown(Form::Json, view)
}

#[kunit_tests(kprobes_collect)]
mod tests {
    use super::*;

    #[test]
    fn a_count_map_counts_by_key() -> Result {
        let map = CountMap::<u32>::new(100)?;
        for n in 0..100 {
            for _ in 0..=n {
                map.add(n, 2);
            }
        }
        let entries = map.read();
        assert_eq!([0, 99, 100].map(|n| entries.get(n)), [2, 200, 0]);
        assert_eq!(entries.total(), 10100);
        assert_eq!(entries.iter().count(), 100);
        let all = entries.top(1000)?;
        assert!(all.len() == 100 && all.windows(2).all(|pair| pair[0].count >= pair[1].count));
        let top = entries.top(2)?;
        assert_eq!(top.len(), 2);
        assert_eq!((top[0].key, top[0].count), (99, 200));
        assert_eq!((top[1].key, top[1].count), (98, 198));
        assert_eq!(map.dropped(), 0);
        Ok(())
    }

    #[test]
    fn a_full_map_counts_what_it_drops() -> Result {
        let map = CountMap::<u64>::new(3)?;
        for key in 0..5 {
            map.add(key << 40, 10);
        }
        map.add(0, 1);
        assert_eq!((map.read().total(), map.dropped()), (31, 20));
        let drained = map.drain()?;
        assert_eq!((drained.total(), map.read().total()), (31, 0));
        map.add(7, 1);
        assert_eq!((map.read().get(7), map.dropped()), (1, 20));
        for capacity in [0, (1 << 24) + 1] {
            assert!(CountMap::<u64>::new(capacity).err() == Some(EINVAL));
            assert!(Map::<u64, u64>::new(capacity).err() == Some(EINVAL));
        }
        Ok(())
    }

    #[test]
    fn keys_are_compared_field_by_field() -> Result {
        let map = CountMap::<(i8, [u16; 2], Pair)>::new(10)?;
        let key = |a, b, c, large| (a, [b, 2], Pair { error: c, large });
        map.add(key(-1, 1, -5, true), 1);
        map.add(key(-1, 1, -5, true), 1);
        map.add(key(-1, 1, -5, false), 1);
        map.add(key(-1, 0, -5, true), 1);
        map.add(key(1, 1, -5, true), 1);
        let entries = map.read();
        assert_eq!(entries.iter().count(), 4);
        let top = entries.top(1)?;
        let (a, b, pair) = top[0].key;
        assert_eq!((a, b, pair.error, pair.large), (-1, [1, 2], -5, true));
        assert_eq!(top[0].count, 2);
        Ok(())
    }

    #[test]
    fn values_are_inserted_changed_and_taken() -> Result {
        let map = Map::<i32, u64>::new(4)?;
        assert!(map.take(1).is_none());
        for key in 0..4 {
            assert!(map.insert(key, key as u64));
        }
        assert!(map.insert(2, 20));
        assert!(map.update(3, 0, |value| *value += 30));
        assert!(!map.insert(4, 0) && !map.update(5, 0, |_| {}));
        assert_eq!(map.dropped(), 2);
        assert_eq!([map.get(2), map.take(2)], [Some(20); 2]);
        assert!(map.take(2).is_none());
        // Removing a key makes room immediately.
        for key in 1000..2000 {
            assert!(map.insert(key, 0));
            assert!(map.take(key).is_some());
        }
        assert_eq!(map.iter().map(|(_, value)| value).sum::<u64>(), 1 + 33);
        map.retain(|key, _| key == 3);
        assert_eq!((map.iter().count(), map.get(3)), (1, Some(33)));
        map.clear();
        assert_eq!((map.iter().count(), map.dropped()), (0, 2));
        Ok(())
    }

    #[test]
    fn a_nested_update_of_a_map_is_dropped() -> Result {
        let map = Map::<(), u64>::new(2)?;
        assert!(map.insert((), 1));
        let mut inner = true;
        assert!(map.update((), 0, |value| {
            inner = map.insert((), 5) || map.take(()).is_some() || map.iter().count() != 0;
            *value += 1;
        }));
        assert!(!inner);
        assert_eq!((map.get(()), map.dropped()), (Some(2), 2));
        Ok(())
    }

    #[test]
    fn values_are_counted_in_their_bucket() -> Result {
        let log2 = Histogram::log2()?;
        // The only key is already inserted, so that CPUs need not insert it concurrently.
        assert_eq!(log2.drain()?.iter().count(), 1);
        for value in [0, 1, 2, 3, 4, 1023, 1024, u64::MAX] {
            log2.record(value);
        }
        let entries = log2.drain()?;
        let row = entries.iter().next().ok_or(ENOENT)?;
        let all = row.distribution();
        let found = || all.iter().filter(|&(_, _, count)| count != 0);
        let small = [(0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 1)];
        let large = [(512, 1023, 1), (1024, 2047, 1), (1 << 63, u64::MAX, 1)];
        assert!(found().take(4).eq(small) && found().skip(4).eq(large));
        assert_eq!(log2.total(), 0);

        let linear = Histogram::linear(10, 30, 10)?;
        for value in [0, 9, 10, 19, 20, 29, 30, u64::MAX] {
            linear.record(value);
        }
        let bar = b" 2 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|";
        let lines = text(&linear);
        let expected = ["(..., 10)", "[10, 20)", "[20, 30)", "[30, ...)"];
        for (line, range) in lines.split(|&b| b == b'\n').zip(expected) {
            assert!(line.starts_with(range.as_bytes()) && line.ends_with(bar));
        }
        for (min, max, step) in [(1, 1, 1), (2, 1, 1), (0, 10, 3), (0, 10, 0), (0, 2000, 1)] {
            assert!(Buckets::linear(min, max, step).err() == Some(EINVAL));
        }
        Ok(())
    }

    #[test]
    fn maps_are_shown_as_text_and_json() -> Result {
        let map = CountMap::<(i32, Pair)>::new(1)?;
        let key = |error| (7, Pair { error, large: true });
        map.add(key(-2), 3);
        map.add(key(0), 5);
        assert!(text(&map)[..] == *b"[7, error -2, large true]: 3\ndropped: 5\n");
        assert!(
            json(&map)[..]
                == *b"{\"key\":[7,{\"error\":-2,\"large\":true}],\"count\":3}\n{\"dropped\":5}\n"
        );
        View::clear(&map)?;
        assert!(text(&map)[..] == *b"dropped: 5\n");

        let map = CountMap::<Error>::new(2)?;
        map.add(ENOENT, 1);
        map.add(EACCES, 2);
        assert!(text(&map)[..] == *b"[EACCES]: 2\n[ENOENT]: 1\n");
        assert!(json(&map).starts_with(b"{\"key\":\"EACCES\",\"count\":2}\n"));
        assert_eq!(map.read().get(ENOENT), 1);

        let map = HistogramMap::<Address>::with_buckets(1, Buckets::LOG2)?;
        let address = Address::new(kut_div as *const () as usize);
        map.record(address, 1);
        map.record(address, 3000);
        let shown = text(&map);
        assert!(shown.starts_with(b"[kut_div+0x0 [kprobes_kunit]]:\n[1]                    1 |@"));
        let line = b"[2K, 4K)               1 |@@";
        assert!(shown.windows(line.len()).any(|at| at == line));
        assert!(
            json(&map)[..]
                == *b"{\"key\":\"kut_div+0x0 [kprobes_kunit]\",\"buckets\":[\
                    {\"min\":1,\"max\":1,\"count\":1},{\"min\":2,\"max\":3,\"count\":0},\
                    {\"min\":4,\"max\":7,\"count\":0},{\"min\":8,\"max\":15,\"count\":0},\
                    {\"min\":16,\"max\":31,\"count\":0},{\"min\":32,\"max\":63,\"count\":0},\
                    {\"min\":64,\"max\":127,\"count\":0},{\"min\":128,\"max\":255,\"count\":0},\
                    {\"min\":256,\"max\":511,\"count\":0},{\"min\":512,\"max\":1023,\"count\":0},\
                    {\"min\":1024,\"max\":2047,\"count\":0},{\"min\":2048,\"max\":4095,\"count\":1}\
                    ]}\n{\"dropped\":0}\n"
        );
        Ok(())
    }
}
