// FAISS as Debian packages it, over OpenBLAS.

#include <faiss/IndexHNSW.h>
#include <faiss/IndexIVF.h>
#include <faiss/index_factory.h>
#include <omp.h>

#include "search/subject.h"

// Declared here as FAISS itself declares BLAS: the header of OpenBLAS clashes with others of the same name.
extern "C" void openblas_set_num_threads(int threads);

namespace mneme::bench {
namespace {

class DebianFaiss final : public LocalPeer {
 public:
  DebianFaiss(const Dataset& dataset, std::string factory) : LocalPeer(dataset), factory_(std::move(factory)) {}

  std::string name() const override { return "faiss-debian " + factory_; }
  bool is_exact() const override { return factory_ == "Flat"; }

  Built build(unsigned threads) override {
    use_threads(threads);
    return measure_build([&] {
      const auto rows = static_cast<faiss::Index::idx_t>(dataset().size());
      index_.reset(
          faiss::index_factory(static_cast<int>(dataset().dimension()), factory_.c_str(), faiss::METRIC_INNER_PRODUCT));
      if (graph() != nullptr) graph()->hnsw.efConstruction = 200;
      index_->train(rows, dataset().rows.values<float>().data());
      index_->add(rows, dataset().rows.values<float>().data());
    });
  }

  std::vector<std::vector<Setting>> ladders(std::size_t k) const override {
    std::vector<Setting> ladder;
    if (graph() != nullptr)
      for (const double ef : geometric(static_cast<double>(k), 8192)) ladder.push_back({{"ef", ef}});
    else if (lists() != nullptr)
      for (const double probes : geometric(4, static_cast<double>(lists()->nlist)))
        ladder.push_back({{"nprobe", probes}});
    else
      ladder.emplace_back();
    return {ladder};
  }

 private:
  faiss::IndexHNSW* graph() const { return dynamic_cast<faiss::IndexHNSW*>(index_.get()); }
  faiss::IndexIVF* lists() const { return dynamic_cast<faiss::IndexIVF*>(index_.get()); }

  static void use_threads(unsigned threads) {
    omp_set_num_threads(static_cast<int>(threads));
    openblas_set_num_threads(static_cast<int>(threads));
  }

  void configure(const Setting& setting, unsigned threads) override {
    use_threads(threads);
    if (graph() != nullptr) graph()->hnsw.efSearch = static_cast<int>(setting[0].second);
    if (lists() != nullptr) lists()->nprobe = static_cast<std::size_t>(setting[0].second);
  }

  void search(std::span<const float> queries, std::size_t k, std::span<std::int64_t> rows) override {
    scores_.resize(rows.size());
    index_->search(static_cast<faiss::Index::idx_t>(queries.size() / dataset().dimension()), queries.data(),
                   static_cast<faiss::Index::idx_t>(k), scores_.data(), rows.data());
  }

  std::string factory_;
  std::unique_ptr<faiss::Index> index_;
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<Peer> make_debian_faiss(const Dataset& dataset, const std::string& factory) {
  return std::make_unique<DebianFaiss>(dataset, factory);
}

}  // namespace mneme::bench
