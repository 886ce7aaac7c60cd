// SPDX-License-Identifier: Apache-2.0
// oneDNN's layer, RMS and group normalisation, backward with respect to data, scale and shift. It
// has no element-wise half of a batch norm.
#include <unordered_map>

#include <oneapi/dnnl/dnnl.hpp>
#include <sys/mman.h>

#include "contestant.h"

namespace peers {
namespace {

using dnnl::memory;

memory::data_type TypeOf(const std::string& dtype) {
  if (dtype == "float32") return memory::data_type::f32;
  return dtype == "float16" ? memory::data_type::f16 : memory::data_type::bf16;
}

/// Memory of huge pages, as our device has it.
class Tensor {
 public:
  Tensor(const memory::desc& desc, const dnnl::engine& engine)
      : bytes_(std::max<std::size_t>(desc.get_size(), 64)) {
    constexpr std::size_t kPage = std::size_t{2} << 20;
    const std::size_t padded = (bytes_ + kPage - 1) / kPage * kPage;
    if (posix_memalign(&data_, kPage, padded) != 0) throw std::bad_alloc();
    madvise(data_, padded, MADV_HUGEPAGE);
    std::memset(data_, 0, bytes_);
    memory_ = memory(desc, engine, data_);
  }
  Tensor(const Tensor&) = delete;
  ~Tensor() { std::free(data_); }

  void Fill(const std::string& dtype, std::uint32_t salt, float scale, float offset) {
    for (std::size_t i = 0; i < bytes_ / BytesOf(dtype); ++i) {
      Store(dtype, scale * Value(i, salt) + offset,
            static_cast<std::byte*>(data_) + i * BytesOf(dtype));
    }
  }
  std::vector<float> Values(const std::string& dtype, std::size_t count) const {
    std::vector<float> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = Load(dtype, static_cast<const std::byte*>(data_) + i * BytesOf(dtype));
    }
    return values;
  }
  memory Get() const { return memory_; }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
  memory memory_;
};

class Norm final : public Problem {
 public:
  explicit Norm(const Case& c) : case_(c), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    const auto& e = c.extents;
    const auto data_type = TypeOf(c.data);
    const auto scale_type = TypeOf(c.scale);
    const bool group = c.op == "group_norm_backward";
    const bool rms = c.op == "rms_norm_grad";
    if (!group && !rms && c.op != "layer_norm_backward") {
      throw std::runtime_error("oneDNN has no such primitive");
    }
    const memory::desc data =
        group ? memory::desc({e[0], e[1], e[2], 1}, data_type, memory::format_tag::nchw)
              : memory::desc({e[0], e[1]}, data_type, memory::format_tag::ab);
    const memory::desc statistics =
        group ? memory::desc({e[0], e[3]}, memory::data_type::f32, memory::format_tag::ab)
              : memory::desc({e[0]}, memory::data_type::f32, memory::format_tag::a);
    columns_ = static_cast<std::size_t>(e[1]);
    elements_ = static_cast<std::size_t>(group ? e[0] * e[1] * e[2] : e[0] * e[1]);
    const float epsilon = 0;
    if (group) {
      const auto flags =
          dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift;
      const dnnl::group_normalization_forward::primitive_desc forward(
          engine_, dnnl::prop_kind::forward_training, data, data, e[3], epsilon, flags);
      Make<dnnl::group_normalization_backward>(
          dnnl::group_normalization_backward::primitive_desc(
              engine_, dnnl::prop_kind::backward, data, data, data, e[3], epsilon, flags, forward),
          statistics, false);
    } else {
      auto flags = dnnl::normalization_flags::use_scale;
      if (!rms) flags |= dnnl::normalization_flags::use_shift;
#if DNNL_VERSION_MAJOR > 3 || (DNNL_VERSION_MAJOR == 3 && DNNL_VERSION_MINOR >= 9)
      if (rms) flags |= dnnl::normalization_flags::rms_norm;
#else
      if (rms) throw std::runtime_error("this oneDNN has no RMS norm");
#endif
      const dnnl::layer_normalization_forward::primitive_desc forward(
          engine_, dnnl::prop_kind::forward_training, data, data, statistics, scale_type, epsilon,
          flags);
      Make<dnnl::layer_normalization_backward>(
          dnnl::layer_normalization_backward::primitive_desc(
              engine_, dnnl::prop_kind::backward, data, data, data, statistics, scale_type,
              scale_type, epsilon, flags, forward),
          statistics, rms);
    }
  }

  void Run(std::size_t set) override {
    primitive_.execute(stream_, sets_[set].arguments);
    stream_.wait();
  }
  std::vector<float> Dx() const override {
    return sets_[0].tensors[0]->Values(case_.data, elements_);
  }
  std::vector<float> DGamma() const override {
    return sets_[0].tensors[1]->Values(scale_, columns_);
  }

 private:
  struct Set {
    std::vector<std::unique_ptr<Tensor>> tensors;
    std::unordered_map<int, memory> arguments;
  };

  template <typename Primitive, typename Desc>
  void Make(const Desc& desc, const memory::desc& statistics, bool rms) {
    primitive_ = Primitive(desc);
    // Group norm has its scale in float32 whatever the data.
    scale_ = desc.weights_desc().get_data_type() == memory::data_type::f32 ? "float32" : case_.data;
    for (std::size_t i = 0; i < case_.sets; ++i) {
      Set& set = sets_.emplace_back();
      const auto add = [&](int argument, const memory::desc& d) -> Tensor& {
        set.tensors.push_back(std::make_unique<Tensor>(d, engine_));
        set.arguments[argument] = set.tensors.back()->Get();
        return *set.tensors.back();
      };
      add(DNNL_ARG_DIFF_SRC, desc.diff_src_desc());
      add(DNNL_ARG_DIFF_SCALE, desc.diff_weights_desc());
      if (!rms) add(DNNL_ARG_DIFF_SHIFT, desc.diff_weights_desc());
      add(DNNL_ARG_DIFF_DST, desc.diff_dst_desc()).Fill(case_.data, 1, 1, 0);
      add(DNNL_ARG_SRC, desc.src_desc()).Fill(case_.data, 2, 1, 0);
      if (!rms) add(DNNL_ARG_MEAN, statistics).Fill("float32", 5, 0.1F, 0);
      // Variance from the same rstd: oneDNN takes the square root itself.
      Tensor& variance = add(DNNL_ARG_VARIANCE, statistics);
      auto* const values = static_cast<float*>(variance.Get().get_data_handle());
      for (std::size_t k = 0; k < statistics.get_size() / sizeof(float); ++k) {
        const float rstd = 0.2F * Value(k, 3) + 1.7F;
        values[k] = 1 / (rstd * rstd);
      }
      add(DNNL_ARG_SCALE, desc.weights_desc()).Fill(scale_, 4, 0.2F, 1);
    }
  }

  Case case_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::string scale_;
  std::vector<Set> sets_;
  std::size_t columns_ = 0;
  std::size_t elements_ = 0;
};

}  // namespace
}  // namespace peers

int main() {
  return peers::Serve(
      [](const peers::Case& c) -> std::unique_ptr<peers::Problem> {
        return std::make_unique<peers::Norm>(c);
      },
      [](unsigned) { throw std::runtime_error("its threads are as many as cores"); });
}
