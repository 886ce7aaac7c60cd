// SPDX-License-Identifier: Apache-2.0
// Our CPU device, as a program written against CANN sees it. The operators "copy" and "triad" are
// rooflines: what the device itself does with non-temporal stores.
#include "acl/acl.h"
#include "aclnnop/aclnn_batch_norm_elemt_backward.h"
#include "aclnnop/aclnn_group_norm_backward.h"
#include "aclnnop/aclnn_layer_norm_backward.h"
#include "aclnnop/aclnn_rms_norm_grad.h"
#include "contestant.h"
#include "normgrad/device.h"

namespace peers {
namespace {

void Check(int status) {
  if (status == 0) return;
  const char* const message = aclGetRecentErrMsg();
  throw std::runtime_error(message == nullptr ? std::to_string(status) : message);
}

aclDataType TypeOf(const std::string& dtype) {
  if (dtype == "float32") return ACL_FLOAT;
  return dtype == "float16" ? ACL_FLOAT16 : ACL_BF16;
}

class Tensor {
 public:
  Tensor(std::vector<std::int64_t> shape, std::string dtype) : dtype_(std::move(dtype)) {
    for (const std::int64_t extent : shape) count_ *= static_cast<std::size_t>(extent);
    Check(aclrtMalloc(&data_, count_ * BytesOf(dtype_), ACL_MEM_MALLOC_HUGE_FIRST));
    std::memset(data_, 0, count_ * BytesOf(dtype_));
    tensor_ = aclCreateTensor(shape.data(), shape.size(), TypeOf(dtype_), nullptr, 0, ACL_FORMAT_ND,
                              shape.data(), shape.size(), data_);
  }
  Tensor(std::vector<std::int64_t> shape, std::string dtype, std::uint32_t salt, float scale,
         float offset)
      : Tensor(std::move(shape), std::move(dtype)) {
    for (std::size_t i = 0; i < count_; ++i) {
      Store(dtype_, scale * Value(i, salt) + offset, Bytes() + i * BytesOf(dtype_));
    }
  }
  Tensor(const Tensor&) = delete;
  ~Tensor() {
    aclDestroyTensor(tensor_);
    aclrtFree(data_);
  }

  aclTensor* Get() const { return tensor_; }
  std::byte* Bytes() const { return static_cast<std::byte*>(data_); }
  std::vector<float> Values() const {
    std::vector<float> values(count_);
    for (std::size_t i = 0; i < count_; ++i)
      values[i] = Load(dtype_, Bytes() + i * BytesOf(dtype_));
    return values;
  }

 private:
  std::string dtype_;
  std::size_t count_ = 1;
  void* data_ = nullptr;
  aclTensor* tensor_ = nullptr;
};

/// One set of tensors of a case.
struct Set {
  std::vector<std::unique_ptr<Tensor>> tensors;
  std::size_t dx = 0;
  std::size_t dgamma = 0;  // the same as dx: there is none
  std::function<aclnnStatus(std::uint64_t*, aclOpExecutor**)> phase_one;
  aclnnStatus (*phase_two)(void*, std::uint64_t, aclOpExecutor*, aclrtStream) = nullptr;
  std::uint64_t workspace_bytes = 0;
  aclOpExecutor* executor = nullptr;
};

class Operator final : public Problem {
 public:
  Operator(const Case& c, aclrtStream stream) : stream_(stream), whole_call_(c.whole_call) {
    const bool any[] = {true, true, true};
    mask_ = aclCreateBoolArray(any, 3);
    for (std::size_t i = 0; i < c.sets; ++i) {
      sets_.push_back(std::make_unique<Set>());
      Set& set = *sets_.back();
      Make(c, set);
      Check(set.phase_one(&set.workspace_bytes, &set.executor));
      Check(aclSetAclOpExecutorRepeatable(set.executor));
      workspace_bytes_ = std::max(workspace_bytes_, set.workspace_bytes);
    }
    if (workspace_bytes_ > 0) {
      Check(aclrtMalloc(&workspace_, workspace_bytes_, ACL_MEM_MALLOC_HUGE_FIRST));
    }
  }
  ~Operator() override {
    for (const auto& set : sets_) aclDestroyAclOpExecutor(set->executor);
    if (workspace_ != nullptr) aclrtFree(workspace_);
    if (shape_ != nullptr) aclDestroyIntArray(shape_);
    aclDestroyBoolArray(mask_);
  }

  void Run(std::size_t index) override {
    Set& set = *sets_[index];
    if (whole_call_) {
      std::uint64_t bytes = 0;
      aclOpExecutor* executor = nullptr;
      Check(set.phase_one(&bytes, &executor));
      Check(set.phase_two(workspace_, bytes, executor, stream_));
    } else {
      Check(set.phase_two(workspace_, set.workspace_bytes, set.executor, stream_));
    }
    Check(aclrtSynchronizeStream(stream_));
  }

  std::vector<float> Dx() const override { return sets_[0]->tensors[sets_[0]->dx]->Values(); }
  std::vector<float> DGamma() const override {
    const Set& set = *sets_[0];
    return set.dgamma == set.dx ? std::vector<float>() : set.tensors[set.dgamma]->Values();
  }

 private:
  void Make(const Case& c, Set& set) {
    const auto& e = c.extents;
    const auto add = [&](auto... arguments) {
      set.tensors.push_back(std::make_unique<Tensor>(arguments...));
      return set.tensors.back()->Get();
    };
    using Shape = std::vector<std::int64_t>;
    if (c.op == "rms_norm_grad") {
      const Shape all = {e[0], e[1]}, rows = {e[0]}, cols = {e[1]};
      aclTensor* const dy = add(all, c.data, 1U, 1.0F, 0.0F);
      aclTensor* const x = add(all, c.data, 2U, 1.0F, 0.0F);
      aclTensor* const rstd = add(rows, c.statistic, 3U, 0.2F, 1.7F);
      aclTensor* const gamma = add(cols, c.scale, 4U, 0.2F, 1.0F);
      set.dx = set.tensors.size();
      aclTensor* const dx = add(all, c.data);
      set.dgamma = set.tensors.size();
      aclTensor* const dgamma = add(cols, std::string("float32"));
      set.phase_one = [=](std::uint64_t* bytes, aclOpExecutor** executor) {
        return aclnnRmsNormGradGetWorkspaceSize(dy, x, rstd, gamma, dx, dgamma, bytes, executor);
      };
      set.phase_two = aclnnRmsNormGrad;
    } else if (c.op == "layer_norm_backward") {
      const Shape all = {e[0], e[1]}, rows = {e[0], 1}, cols = {e[1]};
      aclTensor* const dy = add(all, c.data, 1U, 1.0F, 0.0F);
      aclTensor* const x = add(all, c.data, 2U, 1.0F, 0.0F);
      aclTensor* const mean = add(rows, c.statistic, 5U, 0.1F, 0.0F);
      aclTensor* const rstd = add(rows, c.statistic, 3U, 0.2F, 1.7F);
      aclTensor* const gamma = add(cols, c.scale, 4U, 0.2F, 1.0F);
      aclTensor* const beta = add(cols, c.scale, 6U, 0.2F, 0.0F);
      set.dx = set.tensors.size();
      aclTensor* const dx = add(all, c.data);
      set.dgamma = set.tensors.size();
      aclTensor* const dgamma = add(cols, c.scale);
      aclTensor* const dbeta = add(cols, c.scale);
      if (shape_ == nullptr) shape_ = aclCreateIntArray(&e[1], 1);
      set.phase_one = [=, mask = mask_, shape = shape_](std::uint64_t* bytes,
                                                        aclOpExecutor** executor) {
        return aclnnLayerNormBackwardGetWorkspaceSize(dy, x, shape, mean, rstd, gamma, beta, mask,
                                                      dx, dgamma, dbeta, bytes, executor);
      };
      set.phase_two = aclnnLayerNormBackward;
    } else if (c.op == "group_norm_backward") {
      const Shape all = {e[0], e[1], e[2]}, groups = {e[0], e[3]}, channels = {e[1]};
      aclTensor* const dy = add(all, c.data, 1U, 1.0F, 0.0F);
      aclTensor* const x = add(all, c.data, 2U, 1.0F, 0.0F);
      aclTensor* const mean = add(groups, c.statistic, 5U, 0.1F, 0.0F);
      aclTensor* const rstd = add(groups, c.statistic, 3U, 0.2F, 1.7F);
      aclTensor* const gamma = add(channels, c.scale, 4U, 0.2F, 1.0F);
      set.dx = set.tensors.size();
      aclTensor* const dx = add(all, c.data);
      set.dgamma = set.tensors.size();
      aclTensor* const dgamma = add(channels, c.scale);
      aclTensor* const dbeta = add(channels, c.scale);
      set.phase_one = [=, n = e[0], channel_count = e[1], plane = e[2], group = e[3], mask = mask_](
                          std::uint64_t* bytes, aclOpExecutor** executor) {
        return aclnnGroupNormBackwardGetWorkspaceSize(dy, x, mean, rstd, gamma, n, channel_count,
                                                      plane, group, mask, dx, dgamma, dbeta, bytes,
                                                      executor);
      };
      set.phase_two = aclnnGroupNormBackward;
    } else if (c.op == "batch_norm_elemt_backward") {
      const Shape all = {e[0], e[1], e[2]}, channels = {e[1]};
      aclTensor* const dy = add(all, c.data, 1U, 1.0F, 0.0F);
      aclTensor* const x = add(all, c.data, 2U, 1.0F, 0.0F);
      aclTensor* const mean = add(channels, c.statistic, 5U, 0.1F, 0.0F);
      aclTensor* const invstd = add(channels, c.statistic, 3U, 0.2F, 1.7F);
      aclTensor* const weight = add(channels, c.scale, 4U, 0.2F, 1.0F);
      aclTensor* const sum_dy = add(channels, c.statistic, 7U, 1.0F, 0.0F);
      aclTensor* const sum_dy_xmu = add(channels, c.statistic, 8U, 1.0F, 0.0F);
      aclTensor* const counter = add(Shape{1}, std::string("float32"), 9U, 0.0F, 64.0F);
      set.dx = set.dgamma = set.tensors.size();
      aclTensor* const dx = add(all, c.data);
      set.phase_one = [=](std::uint64_t* bytes, aclOpExecutor** executor) {
        return aclnnBatchNormElemtBackwardGetWorkspaceSize(
            dy, x, mean, invstd, weight, sum_dy, sum_dy_xmu, counter, dx, bytes, executor);
      };
      set.phase_two = aclnnBatchNormElemtBackward;
    } else {
      throw std::runtime_error("unknown operator " + c.op);
    }
  }

  aclrtStream stream_;
  bool whole_call_;
  aclBoolArray* mask_ = nullptr;
  aclIntArray* shape_ = nullptr;
  std::vector<std::unique_ptr<Set>> sets_;
  void* workspace_ = nullptr;
  std::uint64_t workspace_bytes_ = 0;
};

/// Copies extents[0] bytes, or adds as many of one tensor to those of another.
class Move final : public Problem {
 public:
  explicit Move(const Case& c)
      : is_triad_(c.op == "triad"), bytes_(static_cast<std::size_t>(c.extents[0])) {
    // Values, because zeros are moved faster than anything else on some machines.
    const auto floats = [&] {
      return std::make_unique<Tensor>(std::vector{c.extents[0] / 4}, "float32", 1U, 1.0F, 0.0F);
    };
    for (std::size_t i = 0; i < c.sets; ++i) {
      sets_.push_back({floats(), is_triad_ ? floats() : nullptr, floats()});
    }
  }
  void Run(std::size_t index) override {
    const auto& [a, b, to] = sets_[index];
    if (is_triad_) {
      Check(normgradMove(NORMGRAD_STREAMING_TRIAD, to->Bytes(), a->Bytes(), b->Bytes(), bytes_, 1));
    } else {
      Check(aclrtMemcpy(to->Bytes(), bytes_, a->Bytes(), bytes_, ACL_MEMCPY_DEVICE_TO_DEVICE));
    }
  }
  std::vector<float> Dx() const override { return {}; }
  std::vector<float> DGamma() const override { return {}; }

 private:
  struct Set {
    std::unique_ptr<Tensor> a, b, to;
  };

  bool is_triad_;
  std::size_t bytes_;
  std::vector<Set> sets_;
};

}  // namespace
}  // namespace peers

int main() {
  using namespace peers;
  Check(aclInit(nullptr));
  Check(aclrtSetDevice(0));
  Check(normgradSetProduct("atlas-a2"));
  aclrtStream stream = nullptr;
  Check(aclrtCreateStream(&stream));
  return Serve(
      [&](const Case& c) -> std::unique_ptr<Problem> {
        if (c.op == "copy" || c.op == "triad") return std::make_unique<Move>(c);
        return std::make_unique<Operator>(c, stream);
      },
      [](unsigned threads) { Check(normgradSetThreads(threads)); });
}
