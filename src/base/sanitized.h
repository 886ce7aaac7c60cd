// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace normgrad {

/// Whether a sanitizer that watches memory is on. It knows the bounds of what the system gave, not
/// of what is kept and given again.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#elif defined(__has_feature)  // clang's way to say it
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace normgrad
