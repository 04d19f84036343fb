//! Published vectors: RFC 3711 appendix B, RFC 7714 sections 16 and 17, and whole packets with derived keys as
//! other implementations test them.

use super::cipher::{Cipher, counter_mode};
use super::keys::Kdf;
use super::{SrtpKeys, SrtpProfile, SrtpReceiver, SrtpSender};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, UnboundCipherKey};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[test]
fn rfc3711_counter_mode_keystream() {
    let key = UnboundCipherKey::new(&AES_128, &hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let iv = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000");
    let mut out = [0u8; 48];
    counter_mode(&EncryptingKey::ctr(key).unwrap(), iv.try_into().unwrap(), &mut out).unwrap();
    let expected =
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(out.as_slice(), hex(expected));
}

#[test]
fn rfc3711_key_derivation() {
    let kdf =
        Kdf::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), &hex("0EC675AD498AFEEBB6960B3AABE6")).unwrap();
    assert_eq!(kdf.derive::<16>(0).unwrap().as_slice(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(kdf.derive::<14>(2).unwrap().as_slice(), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let auth = "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098 \
                6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E4740 3576";
    assert_eq!(kdf.derive::<80>(1).unwrap().as_slice(), hex(auth));
}

fn session(key_len: usize) -> (Cipher, Cipher) {
    let key: Vec<u8> = (0..key_len as u8).collect();
    let salt: [u8; 12] = *b"Quid pro quo";
    (Cipher::gcm(&key, salt).unwrap(), Cipher::gcm(&key, salt).unwrap())
}

fn rfc7714_pair(profile: SrtpProfile) -> (SrtpSender, SrtpReceiver) {
    let (rtp, rtcp) = session(profile.key_len());
    let sender = SrtpSender::new(profile, rtp, rtcp);
    let (rtp, rtcp) = session(profile.key_len());
    (sender, SrtpReceiver::new(profile, rtp, rtcp))
}

/// Seals and opens; the packet lies behind other bytes of an arena.
fn check_rtp(sender: &SrtpSender, receiver: &mut SrtpReceiver, plain: &[u8], sealed: &[u8], ext_seq: u64) {
    let mut arena = b"before".to_vec();
    arena.extend_from_slice(plain);
    sender.seal_rtp(&mut arena, 6, 12, ext_seq).unwrap();
    assert_eq!(&arena[..6], b"before");
    assert_eq!(&arena[6..], sealed);
    let opened = receiver.open_rtp(&mut arena[6..]).unwrap();
    assert_eq!(&arena[6..6 + opened.len], plain);
    assert_eq!(opened.ext_seq, ext_seq);
}

fn check_rtcp(sender: &mut SrtpSender, receiver: &mut SrtpReceiver, plain: &[u8], sealed: &[u8], index: u32) {
    sender.set_rtcp_index(index);
    let mut arena = b"before".to_vec();
    arena.extend_from_slice(plain);
    sender.seal_rtcp(&mut arena, 6).unwrap();
    assert_eq!(&arena[6..], sealed);
    let len = receiver.open_rtcp(&mut arena[6..]).unwrap();
    assert_eq!(&arena[6..6 + len], plain);
}

const RFC7714_RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 \
                           696e2070 61727465 73207472 6573";
const RFC7714_RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
                            deadbeef deadbeef deadbeef deadbeef";

#[test]
fn rfc7714_aes_128_gcm() {
    let (mut sender, mut receiver) = rfc7714_pair(SrtpProfile::AeadAes128Gcm);
    let sealed = "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a \
                  51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce";
    check_rtp(&sender, &mut receiver, &hex(RFC7714_RTP), &hex(sealed), 0xf17b);
    let sealed = "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda \
                  4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4";
    check_rtcp(&mut sender, &mut receiver, &hex(RFC7714_RTCP), &hex(sealed), 0x5d4);
}

#[test]
fn rfc7714_aes_256_gcm() {
    let (mut sender, mut receiver) = rfc7714_pair(SrtpProfile::AeadAes256Gcm);
    let sealed = "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 \
                  76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13";
    check_rtp(&sender, &mut receiver, &hex(RFC7714_RTP), &hex(sealed), 0xf17b);
    let sealed = "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be \
                  8415f658 c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4";
    check_rtcp(&mut sender, &mut receiver, &hex(RFC7714_RTCP), &hex(sealed), 0x5d4);
}

/// Whole chain with derived keys.
fn derived(profile: SrtpProfile, key: &str, salt: &str, rtp: &str, rtcp: &str) {
    let (key, salt) = (hex(key), hex(salt));
    let mut sender = SrtpKeys::sender(profile, &key, &salt).unwrap();
    let mut receiver = SrtpKeys::receiver(profile, &key, &salt).unwrap();
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    check_rtp(&sender, &mut receiver, &plain, &hex(rtp), 0x1234);
    let plain = hex("81c8000b cafebabe abababab abababab abababab abababab");
    check_rtcp(&mut sender, &mut receiver, &plain, &hex(rtcp), 1);
}

#[test]
fn derived_keys_aes_cm() {
    derived(
        SrtpProfile::Aes128CmSha1_80,
        "E1F97A0D3E018BE0D64FA32C06DE4139",
        "0EC675AD498AFEEBB6960B3AABE6",
        "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb",
        "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798",
    );
}

#[test]
fn derived_keys_aes_gcm() {
    derived(
        SrtpProfile::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0f",
        "a0a1a2a3a4a5a6a7a8a9aaab",
        "800f1234 decafbad cafebabe c5002ede 04cfdd2e b91159e0 880aa06e d2976826 f796b201 df3131a1 27e8a392",
        "81c8000b cafebabe c98b8b5d f0392a55 852b6c21 ac8e7025 c52c6fbe a2b3b446 ea31123b a88ce61e 80000001",
    );
}
