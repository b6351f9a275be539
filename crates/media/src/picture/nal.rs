//! NAL units (H.264, 7.3.1 and annex B).

/// Annex B start code.
pub(crate) const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Kinds that matter here (H.264, table 7-1).
pub(crate) mod kind {
    pub(crate) const SLICE: u8 = 1;
    pub(crate) const IDR: u8 = 5;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
    pub(crate) const STAP_A: u8 = 24;
    pub(crate) const FU_A: u8 = 28;
}

/// Kind of a NAL unit by its first byte.
pub(crate) fn kind_of(header: u8) -> u8 {
    header & 0x1f
}

/// Splits Annex B at its start codes; zero bytes after a unit are no part of it.
pub(crate) fn split(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(data);
    std::iter::from_fn(move || {
        loop {
            let unit = rest?;
            let end = find_start_code(unit);
            rest = end.and_then(|end| after_start_code(&unit[end..]));
            let unit = &unit[..end.unwrap_or(unit.len())];
            let zeros = unit.iter().rev().take_while(|b| **b == 0).count();
            let unit = &unit[..unit.len() - zeros];
            if !unit.is_empty() {
                return Some(unit);
            }
        }
    })
}

fn find_start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|w| w == [0, 0, 1])
}

fn after_start_code(data: &[u8]) -> Option<&[u8]> {
    find_start_code(data).map(|at| &data[at + 3..])
}

/// Whether a unit could stand in Annex B: a start code inside it would make two of one (H.264, 7.4.1: emulation
/// prevention keeps 00 00 00, 00 00 01 and 00 00 02 out).
pub(crate) fn is_sound(unit: &[u8]) -> bool {
    let Some(&header) = unit.first() else { return false };
    // forbidden_zero_bit, and kinds that stand alone.
    header & 0x80 == 0
        && (1..=23).contains(&kind_of(header))
        && !unit.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] <= 2)
}

/// One unsigned Exp-Golomb number (H.264, 9.1) after `skip` numbers of the same sort, from the unit's payload.
fn exp_golomb(payload: &[u8], skip: usize) -> Option<u32> {
    let bit = |at: usize| payload.get(at / 8).map(|byte| byte >> (7 - at % 8) & 1);
    let mut at = 0;
    let mut number = 0;
    for _ in 0..=skip {
        let mut zeros = 0;
        while bit(at)? == 0 {
            zeros += 1;
            at += 1;
            if zeros > 31 {
                return None;
            }
        }
        at += 1;
        let mut rest = 0u32;
        for _ in 0..zeros {
            rest = rest << 1 | u32::from(bit(at)?);
            at += 1;
        }
        number = (1u32 << zeros) - 1 + rest;
    }
    Some(number)
}

/// seq_parameter_set_id of an SPS, below 32.
pub(crate) fn sps_id(unit: &[u8]) -> Option<u8> {
    // Header, profile, constraints, level; then the id.
    let id = exp_golomb(unit.get(4..)?, 0)?;
    (id < 32).then_some(id as u8)
}

/// pic_parameter_set_id of a PPS.
pub(crate) fn pps_id(unit: &[u8]) -> Option<u8> {
    let id = exp_golomb(unit.get(1..)?, 0)?;
    u8::try_from(id).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annex_b_is_split_with_short_and_long_start_codes_and_zeros() {
        let data = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 1, 0x68, 3, 0, 0, 0, 0, 1, 0x65, 9];
        let units: Vec<&[u8]> = split(&data).collect();
        assert_eq!(units, [&[0x67, 1, 2][..], &[0x68, 3], &[0x65, 9]]);
        assert_eq!(split(&[1, 2, 3]).count(), 0);
        assert_eq!(split(&[0, 0, 1, 0, 0, 1]).count(), 0);
    }

    #[test]
    fn start_codes_inside_a_unit_are_not_sound() {
        assert!(is_sound(&[0x65, 1, 2, 3]));
        assert!(is_sound(&[0x65, 0, 0, 3, 1]));
        assert!(!is_sound(&[0x65, 0, 0, 1, 0x67]));
        assert!(!is_sound(&[0x65, 0, 0, 0]));
        assert!(!is_sound(&[0xe5, 1]));
        assert!(!is_sound(&[0x7c, 1]));
        assert!(!is_sound(&[]));
    }

    #[test]
    fn ids_are_read() {
        assert_eq!(sps_id(&[0x67, 0x42, 0xe0, 0x1f, 0b1000_0000]), Some(0));
        assert_eq!(sps_id(&[0x67, 0x42, 0xe0, 0x1f, 0b0101_0000]), Some(1));
        assert_eq!(sps_id(&[0x67, 0x42]), None);
        assert_eq!(pps_id(&[0x68, 0b0111_0000]), Some(2));
        assert_eq!(pps_id(&[0x68, 0]), None);
    }
}
