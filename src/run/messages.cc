// SPDX-License-Identifier: Apache-2.0
// Every struct lists its fields once, in Fields(), which writes them and reads them.
#include "run/messages.h"

#include <concepts>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "ops/operators.h"

namespace normgrad {
namespace {

template <typename T, typename U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

template <Is<Change> T>
void Fields(T& c, auto&& field) {
  field(c.null);
  field(c.shape);
  field(c.dtype);
  field(c.format);
  field(c.mask);
}

template <Is<Expectation> T>
void Fields(T& e, auto&& field) {
  field(e.status);
  field(e.because);
}

template <Is<Case> T>
void Fields(T& c, auto&& field) {
  field(c.op);
  field(c.product);
  field(c.dims);
  field(c.dtypes);
  field(c.layout);
  field(c.layout_of);
  field(c.masks);
  field(c.reshaped);
  field(c.changes);
  field(c.expectation);
  field(c.legal);
  field(c.fill);
  field(c.eps);
  field(c.seed);
  field(c.checks);
  field(c.source);
}

template <Is<Hello> T>
void Fields(T& h, auto&& field) {
  field(h.description);
  field(h.build);
  field(h.is_ours);
  field(h.devices);
  field(h.missing);
}

template <Is<CaseNumbers> T>
void Fields(T& n, auto&& field) {
  field(n.values);
  field(n.unknown);
}

template <typename T>
concept Number = std::integral<T> || std::floating_point<T>;

class Writer {
 public:
  template <Number T>
  void operator()(const T& value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void operator()(const std::string& text) {
    (*this)(std::uint64_t{text.size()});
    bytes_ += text;
  }
  // As words: the other side reads them with what checks them.
  void operator()(DType dtype) { (*this)(std::string(Name(dtype))); }
  void operator()(LayoutKind layout) { (*this)(std::string(Name(layout))); }
  void operator()(const Operator* op) { (*this)(std::string(op->name)); }
  template <typename T>
  void operator()(const std::vector<T>& list) {
    (*this)(std::uint64_t{list.size()});
    for (const auto& element : list) (*this)(static_cast<const T&>(element));
  }
  template <typename T>
  void operator()(const std::map<std::string, T, std::less<>>& map) {
    WriteMap(map);
  }
  template <typename T>
  void operator()(const std::map<std::string, T>& map) {
    WriteMap(map);
  }
  void operator()(const Dims& dims) { WriteMap(dims); }
  template <typename T>
  void operator()(const Shared<T>& value) {
    (*this)(*value);
  }
  template <typename T>
  void operator()(const std::optional<T>& value) {
    (*this)(value.has_value());
    if (value) (*this)(*value);
  }
  void operator()(const std::shared_ptr<const Case>& value) {
    (*this)(value != nullptr);
    if (value != nullptr) (*this)(*value);
  }
  template <typename T>
  requires requires(const T& value, Writer& writer) { Fields(value, writer); }
  void operator()(const T& value) { Fields(value, *this); }

  std::string Take() { return std::move(bytes_); }

 private:
  void WriteMap(const auto& map) {
    (*this)(std::uint64_t{map.size()});
    for (const auto& [key, value] : map) {
      (*this)(key);
      (*this)(value);
    }
  }

  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <Number T>
  void operator()(T& value) {
    const std::string_view raw = Take(sizeof value);
    if constexpr (std::same_as<T, bool>) {
      if (raw[0] != 0 && raw[0] != 1) throw Error("message: a truth value of {}", int{raw[0]});
      value = raw[0] == 1;
    } else {
      std::memcpy(&value, raw.data(), sizeof value);
    }
  }
  void operator()(std::string& text) { text = Take(ReadCount()); }
  void operator()(DType& dtype) { dtype = ParseDTypeOrNone(ReadText()); }
  void operator()(LayoutKind& layout) { layout = ParseLayoutKind(ReadText()); }
  void operator()(const Operator*& op) { op = &FindOperator(ReadText()); }
  template <typename T>
  void operator()(std::vector<T>& list) {
    list.clear();
    for (std::uint64_t count = ReadCount(); count > 0; --count) {
      T element{};
      (*this)(element);
      list.push_back(std::move(element));
    }
  }
  template <typename T>
  void operator()(std::map<std::string, T, std::less<>>& map) {
    ReadMap(map);
  }
  template <typename T>
  void operator()(std::map<std::string, T>& map) {
    ReadMap(map);
  }
  void operator()(Dims& dims) { ReadMap(dims); }
  template <typename T>
  void operator()(Shared<T>& value) {
    T own;
    (*this)(own);
    value = std::move(own);
  }
  template <typename T>
  void operator()(std::optional<T>& value) {
    value.reset();
    if (ReadFlag()) (*this)(value.emplace());
  }
  void operator()(std::shared_ptr<const Case>& value) {
    value.reset();
    if (!ReadFlag()) return;
    // A legal call has none of its own; hostile bytes might nest them until the stack ends.
    if (nested_) throw Error("message: a legal call of a legal call");
    nested_ = true;
    const auto legal = std::make_shared<Case>();
    (*this)(*legal);
    nested_ = false;
    value = legal;
  }
  template <typename T>
  requires requires(T& value, Reader& reader) { Fields(value, reader); }
  void operator()(T& value) { Fields(value, *this); }

  void RequireEnd() const {
    if (!bytes_.empty()) throw Error("message: {} bytes too many", bytes_.size());
  }

 private:
  std::string_view Take(std::uint64_t count) {
    if (count > bytes_.size()) throw Error("message: {} bytes too short", count - bytes_.size());
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  /// Of things that take at least a byte each.
  std::uint64_t ReadCount() {
    std::uint64_t count = 0;
    (*this)(count);
    if (count > bytes_.size()) throw Error("message: {} things in {} bytes", count, bytes_.size());
    return count;
  }
  std::string ReadText() {
    std::string text;
    (*this)(text);
    return text;
  }
  bool ReadFlag() {
    bool flag = false;
    (*this)(flag);
    return flag;
  }
  void ReadMap(auto& map) {
    map.clear();
    for (std::uint64_t count = ReadCount(); count > 0; --count) {
      std::string key = ReadText();
      (*this)(map[std::move(key)]);
    }
  }

  std::string_view bytes_;
  bool nested_ = false;
};

template <typename T>
std::string Write(const T& value) {
  Writer writer;
  writer(value);
  return writer.Take();
}

template <typename T>
T Read(std::string_view bytes) {
  Reader reader(bytes);
  T value;
  reader(value);
  reader.RequireEnd();
  return value;
}

}  // namespace

std::string Encode(const Case& the_case) { return Write(the_case); }
std::string Encode(const Hello& hello) { return Write(hello); }
std::string Encode(const CaseNumbers& numbers) { return Write(numbers); }

Case DecodeCase(std::string_view bytes) { return Read<Case>(bytes); }
Hello DecodeHello(std::string_view bytes) { return Read<Hello>(bytes); }
CaseNumbers DecodeCaseNumbers(std::string_view bytes) { return Read<CaseNumbers>(bytes); }

}  // namespace normgrad
