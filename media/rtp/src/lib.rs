//! RTP, RTCP and SRTP without I/O and without a clock.
