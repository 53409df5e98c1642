//! Peers that nobody here wrote: a server built on Fedify, the cases and actors of fediverse-pasture, and requests as eight
//! softwares send them.

mod fedify;
mod pasture;
mod softwares;
mod stranger;
mod totals;
mod wire;
