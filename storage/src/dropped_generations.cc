#include "mneme/storage/dropped_generations.h"

namespace mneme::storage {

void DroppedGenerations::add(SpaceId space, GenerationId generation) {
  WriterLock lock(mutex_);
  dropped_.emplace(space, generation);
  any_.store(true, std::memory_order_release);
}

bool DroppedGenerations::contains(SpaceId space, GenerationId generation) const {
  if (!any_.load(std::memory_order_acquire)) return false;
  ReaderLock lock(mutex_);
  return dropped_.contains({space, generation});
}

bool DroppedGenerations::remove_from(std::vector<VectorShape>& shapes, SpaceId space) const {
  if (!any_.load(std::memory_order_acquire)) return false;
  ReaderLock lock(mutex_);
  return std::erase_if(shapes, [&](const VectorShape& shape) MNEME_NO_THREAD_SAFETY_ANALYSIS {
           return dropped_.contains({space, shape.generation});
         }) > 0;
}

NodeRecordPtr DroppedGenerations::shown(SpaceId space, const NodeRecordPtr& record) const {
  if (!record || !any_.load(std::memory_order_acquire)) return record;
  std::vector<VectorShape> shapes;
  for (std::size_t i = 0; i < record->vector_count(); ++i) shapes.push_back(record->shape(i));
  if (!remove_from(shapes, space)) return record;
  std::vector<ByteView> vectors;
  for (const VectorShape& shape : shapes) vectors.push_back(std::as_bytes(record->vector(shape.generation)));
  // It was a whole record: what is left of it is one.
  return NodeRecord::from_parts(body_with_shapes(record->body(), shapes), vectors).value();
}

}  // namespace mneme::storage
