//! Groups items by room, in linear time.

/// Items by room, in their order within the room.
pub(crate) struct Groups<T> {
    items: Vec<T>,
    starts: Vec<usize>,
}

impl<T: Copy> Groups<T> {
    /// Groups `items` by `room_of`, which is below `rooms`.
    pub(crate) fn new<I>(items: I, rooms: usize, room_of: impl Fn(&T) -> u32) -> Self
    where
        I: Iterator<Item = T> + Clone,
    {
        let mut starts = vec![0; rooms + 1];
        let mut first = None;
        for item in items.clone() {
            starts[room_of(&item) as usize + 1] += 1;
            first.get_or_insert(item);
        }
        for room in 0..rooms {
            starts[room + 1] += starts[room];
        }
        let mut sorted = first.map_or_else(Vec::new, |first| vec![first; starts[rooms]]);
        let mut next = starts.clone();
        for item in items {
            let slot = &mut next[room_of(&item) as usize];
            sorted[*slot] = item;
            *slot += 1;
        }
        Self {
            items: sorted,
            starts,
        }
    }

    /// The items of a room.
    pub(crate) fn of(&self, room: usize) -> &[T] {
        &self.items[self.starts[room]..self.starts[room + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_keep_the_order_of_items_within_a_room() {
        let groups = Groups::new([31, 10, 32, 11, 30].into_iter(), 5, |item| item / 10);
        assert_eq!(groups.of(1), [10, 11]);
        assert_eq!(groups.of(3), [31, 32, 30]);
        assert_eq!(
            [groups.of(0), groups.of(2), groups.of(4)],
            [&[] as &[u32]; 3]
        );
        let none = Groups::new(std::iter::empty::<u32>(), 2, |item| *item);
        assert_eq!(none.of(1), [] as [u32; 0]);
    }
}
